// Package lint holds the rules of this repository that no general linter
// knows, as tests: what may import what, which calls are forbidden and why,
// what the binary may weigh, what the documentation promises.
//
//	go test ./scripts/lint
//
// An exception stands in the rule's own table, with its reason as the value.
// One that nothing needs any more fails too.
package lint
