package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"prefork/ipc/store"
)

var ctx = context.Background()

func private(t testing.TB, size int64, full store.FullPolicy) *store.Embedded {
	t.Helper()
	return store.Private(store.Config{Size: size, Full: full})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestValuesOfEveryLengthComeBack(t *testing.T) {
	s := private(t, 16<<20, store.RefuseFull)
	r := rand.NewChaCha8([32]byte{1})
	for keyLen := range 200 {
		for _, n := range []int{0, 1, 7, 8, 9, 63, 64, 65, 111, 112, 113, 300, 5000} {
			key, value := make([]byte, keyLen), make([]byte, n)
			_, _ = r.Read(key)
			_, _ = r.Read(value)
			version, err := s.Set(ctx, string(key), value, store.Write{})
			must(t, err)
			got, found, err := s.Get(ctx, string(key))
			if err != nil || !found || !bytes.Equal(got.Value, value) || got.Version != version {
				t.Fatalf("key of %d, value of %d bytes: %d bytes, %v, %v", keyLen, n, len(got.Value), found, err)
			}
		}
	}
	for _, n := range []int{store.MaxValue, store.MaxValue - 1} {
		value := make([]byte, n)
		_, _ = r.Read(value)
		key := string(make([]byte, store.MaxKey))
		_, err := s.Set(ctx, key, value, store.Write{})
		must(t, err)
		if got, found, err := s.Get(ctx, key); err != nil || !found || !bytes.Equal(got.Value, value) {
			t.Fatalf("value of %d bytes: %v, %v", n, found, err)
		}
	}
	_, err := s.Set(ctx, "k", make([]byte, store.MaxValue+1), store.Write{})
	if !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
}

func TestFullStoreRefusesOrEvicts(t *testing.T) {
	for _, full := range []store.FullPolicy{store.RefuseFull, store.EvictLRU} {
		s := private(t, 8<<20, full)
		var refused, n int
		for i := range 30000 {
			_, err := s.Set(ctx, fmt.Sprint(i), make([]byte, 256), store.Write{})
			switch {
			case errors.Is(err, store.ErrFull):
				refused++
			case err != nil:
				t.Fatal(err)
			default:
				n++
			}
		}
		st, err := s.Stats(ctx)
		must(t, err)
		t.Logf("policy %d: %d written, %d refused, %+v", full, n, refused, st)
		if (full == store.RefuseFull) != (refused > 0) || (full == store.EvictLRU) != (st.Evicted > 0) {
			t.Errorf("policy %d: %d refused, %d evicted", full, refused, st.Evicted)
		}
		if st.UsedBytes < st.Bytes*95/100 {
			t.Errorf("full with %d of %d bytes used", st.UsedBytes, st.Bytes)
		}
		if full == store.RefuseFull {
			// All of it comes back.
			for i := range 30000 {
				_, err := s.Delete(ctx, fmt.Sprint(i), 0)
				must(t, err)
			}
			if st, _ := s.Stats(ctx); st.UsedBytes != 0 || st.Entries != 0 {
				t.Errorf("empty: %+v", st)
			}
		}
		// Values of the largest size fit anywhere.
		for i := range 4 {
			if _, err := s.Set(ctx, fmt.Sprint("large", i), make([]byte, store.MaxValue), store.Write{}); err != nil {
				t.Errorf("policy %d: large value %d: %v", full, i, err)
			}
		}
	}
}

func TestExpiredEntriesGoFirst(t *testing.T) {
	s := private(t, 4<<20, store.EvictLRU)
	for i := range 5000 {
		_, err := s.Set(ctx, fmt.Sprint("live", i), make([]byte, 200), store.Write{})
		must(t, err)
	}
	for i := range 2000 {
		_, err := s.Set(ctx, fmt.Sprint("short", i), make([]byte, 200), store.Write{TTL: time.Millisecond})
		must(t, err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		if _, found, err := s.Get(ctx, "short1999"); err == nil && !found {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("no expiry")
		}
	}
	for i := range 5000 {
		_, err := s.Set(ctx, fmt.Sprint("new", i), make([]byte, 200), store.Write{})
		must(t, err)
	}
	st, err := s.Stats(ctx)
	must(t, err)
	if st.Evicted > 0 {
		t.Errorf("%d entries that live were evicted: %+v", st.Evicted, st)
	}
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1000, 10000, 1000000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := shared(b, 1<<30)
			keys := make([]string, n)
			for i := range keys {
				keys[i] = fmt.Sprintf("session/%08d", i)
				_, err := s.Set(ctx, keys[i], make([]byte, 256), store.Write{TTL: time.Hour})
				must(b, err)
			}
			r := rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if _, found, err := s.Get(ctx, keys[r.IntN(n)]); !found || err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint("map", n), func(b *testing.B) {
			m := make(map[string][]byte)
			keys := make([]string, n)
			for i := range keys {
				keys[i] = fmt.Sprintf("session/%08d", i)
				m[keys[i]] = make([]byte, 256)
			}
			r := rand.New(rand.NewPCG(1, 2))
			b.ResetTimer()
			for range b.N {
				if v := append([]byte(nil), m[keys[r.IntN(n)]]...); len(v) == 0 {
					b.Fatal()
				}
			}
		})
	}
}

func BenchmarkSet(b *testing.B) {
	for _, n := range []int{10000, 1000000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := shared(b, 1<<30)
			keys := make([]string, n)
			for i := range keys {
				keys[i] = fmt.Sprintf("session/%08d", i)
			}
			value := make([]byte, 256)
			r := rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				_, err := s.Set(ctx, keys[r.IntN(n)], value, store.Write{TTL: time.Hour})
				must(b, err)
			}
		})
	}
	b.Run("1MiB", func(b *testing.B) {
		s := shared(b, 64<<20)
		value := make([]byte, 1<<20)
		for range b.N {
			_, err := s.Set(ctx, "k", value, store.Write{TTL: time.Hour})
			must(b, err)
		}
	})
}

func TestPeekIsNoUse(t *testing.T) {
	s := private(t, 1<<20, store.EvictLRU)
	_, err := s.Set(ctx, "key", []byte("value"), store.Write{TTL: time.Hour})
	must(t, err)
	e, found, err := s.Peek(ctx, "key")
	if err != nil || !found || string(e.Value) != "value" || e.TTL <= 0 {
		t.Errorf("%+v, %v, %v", e, found, err)
	}
	if e, found, err := s.Peek(ctx, "none"); err != nil || found || e.Value != nil {
		t.Errorf("%+v, %v, %v", e, found, err)
	}
	if st, err := s.Stats(ctx); err != nil || st.Hits != 0 || st.Misses != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestKeptTTLOfNothingIsNone(t *testing.T) {
	s := private(t, 1<<20, store.RefuseFull)
	_, err := s.Set(ctx, "key", []byte("value"), store.Write{TTL: -1, KeepTTL: true})
	must(t, err)
	if e, found, err := s.Get(ctx, "key"); err != nil || !found || e.TTL != 0 {
		t.Errorf("%+v, %v, %v", e, found, err)
	}
}
