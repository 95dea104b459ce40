//go:build !race

package resp_test

const underRace = false
