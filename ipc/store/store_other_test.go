//go:build !linux

package store_test

import (
	"testing"

	"prefork/ipc/store"
)

func shared(t testing.TB) *store.Embedded {
	t.Helper()
	t.Skip("a shared store needs memfd_create and OFD locks, which Linux has")
	return nil
}
