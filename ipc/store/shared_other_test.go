//go:build !linux

package store_test

import (
	"testing"

	"prefork/ipc/store"
)

func shared(t testing.TB, size int64) *store.Embedded {
	return private(t, size, store.RefuseFull)
}
