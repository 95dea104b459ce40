package snapshot_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"prefork/ipc/store"
	"prefork/ipc/store/snapshot"
)

var ctx = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// empty makes a store with nothing in it.
func empty() *store.Embedded {
	return store.Private(store.Config{Size: 1 << 20, Full: store.RefuseFull})
}

// filled makes a store with n entries: half of them expire in an hour.
func filled(t testing.TB, n int) *store.Embedded {
	t.Helper()
	s := empty()
	for i := range n {
		w := store.Write{}
		if i%2 == 1 {
			w.TTL = time.Hour
		}
		_, err := s.Set(ctx, fmt.Sprintf("key %d\xff\x00", i), bytes.Repeat([]byte{byte(i)}, i), w)
		must(t, err)
	}
	return s
}

// written gives the snapshot of a store.
func written(t testing.TB, s store.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := snapshot.Write(ctx, &b, s)
	must(t, err)
	return b.Bytes()
}

// content reads all of a store.
func content(t testing.TB, s store.Store) map[string]store.Entry {
	t.Helper()
	all := map[string]store.Entry{}
	for cursor := uint64(0); ; {
		keys, next, err := s.Scan(ctx, cursor, 100)
		must(t, err)
		for _, k := range keys {
			e, found, err := s.Get(ctx, k)
			must(t, err)
			if found {
				all[k] = e
			}
		}
		if cursor = next; cursor == 0 {
			return all
		}
	}
}

// troubled is a store whose operations fail, each with the error that stands
// for it, the number of times given; negative: always.
type troubled struct {
	store.Store
	get, set, scan error
	times          int
}

func (s *troubled) fails(err error) bool {
	if err == nil || s.times == 0 {
		return false
	}
	s.times--
	return true
}

func (s *troubled) Get(ctx context.Context, key string) (store.Entry, bool, error) {
	if s.fails(s.get) {
		return store.Entry{}, false, s.get
	}
	return s.Store.Get(ctx, key)
}

func (s *troubled) Set(ctx context.Context, key string, value []byte, w store.Write) (uint64, error) {
	if s.fails(s.set) {
		return 0, s.set
	}
	return s.Store.Set(ctx, key, value, w)
}

func (s *troubled) Scan(ctx context.Context, cursor uint64, count int) ([]string, uint64, error) {
	if s.fails(s.scan) {
		return nil, 0, s.scan
	}
	return s.Store.Scan(ctx, cursor, count)
}
