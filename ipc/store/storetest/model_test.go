package storetest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"prefork/ipc/store"
	"prefork/ipc/store/storetest"
)

func TestModelKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return storetest.NewModel() }, storetest.Features{})
}

func TestPrivateStoreKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s := store.Private(store.Config{Size: 16 << 20, Full: store.RefuseFull})
		t.Cleanup(func() { _ = s.Close() })
		return s
	}, storetest.Features{})
}

func TestModelGoesByItsClock(t *testing.T) {
	ctx := context.Background()
	now := time.Unix(1000, 0)
	m := storetest.NewModel()
	m.Now = func() time.Time { return now }
	if _, err := m.Set(ctx, "k", nil, store.Write{TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	token, _, err := m.TryLock(ctx, "l", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour - 1)
	if e, found, _ := m.Get(ctx, "k"); !found || e.TTL != 1 {
		t.Fatalf("%v, %v", e.TTL, found)
	}
	if err := m.Renew(ctx, token, 2); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2)
	if _, found, _ := m.Get(ctx, "k"); found {
		t.Fatal("not expired")
	}
	if err := m.Unlock(ctx, token); err == nil {
		t.Fatal("the lock's time is not over")
	}
}

func TestModelWaitsWithoutPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := storetest.NewModel()
		if _, _, err := m.TryLock(context.Background(), "l", time.Minute); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := m.Lock(context.Background(), "l", 0); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Fatalf("took %v", took)
		}
	})
}
