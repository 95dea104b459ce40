package store_test

import (
	"testing"

	"prefork/ipc/store"
	"prefork/ipc/store/storetest"
)

func TestPrivateStoreKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		return private(t, 16<<20, store.RefuseFull)
	}, storetest.Features{})
}
