//go:build race

package resp_test

// underRace says that memory is not what it is without the detector.
const underRace = true
