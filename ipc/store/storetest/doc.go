// Package storetest is test support for package store: a Model, which is the
// plainest store that keeps the contract, and Run, which checks any store
// against it.
//
//	func TestStoreKeepsTheContract(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store { return open(t) }, storetest.Features{})
//	}
//
// Nothing that is shipped imports it.
package storetest
