package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"prefork/ipc/store"
)

// both runs a test on the private store and on a shared one.
func both(t *testing.T, test func(*testing.T, *store.Embedded)) {
	t.Run("private", func(t *testing.T) {
		s := store.Private()
		test(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("shared", func(t *testing.T) {
		s := shared(t)
		test(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, s *store.Embedded, key, value string) {
	t.Helper()
	if got, found, err := s.Get(key); err != nil || !found || string(got) != value {
		t.Fatalf("Get(%q) = %q, %v, %v; want %q", key, got, found, err, value)
	}
}

func absent(t *testing.T, s *store.Embedded, key string) {
	t.Helper()
	if got, found, err := s.Get(key); err != nil || found {
		t.Fatalf("Get(%q) = %q, %v, %v; want nothing", key, got, found, err)
	}
}

func TestWhatWasSetIsThereUntilItIsDeleted(t *testing.T) {
	both(t, func(t *testing.T, s *store.Embedded) {
		absent(t, s, "a")
		must(t, s.Delete("a"))
		must(t, s.Set("a", []byte("one"), 0))
		must(t, s.Set("b", nil, time.Hour))
		must(t, s.Set("", []byte("the empty key"), 0))
		want(t, s, "a", "one")
		want(t, s, "b", "")
		want(t, s, "", "the empty key")
		must(t, s.Set("a", []byte("another, which is longer"), 0))
		want(t, s, "a", "another, which is longer")
		must(t, s.Set("a", []byte("x"), 0))
		want(t, s, "a", "x")
		must(t, s.Delete("a"))
		absent(t, s, "a")
		want(t, s, "b", "")
	})
}

func TestValueIsACopy(t *testing.T) {
	both(t, func(t *testing.T, s *store.Embedded) {
		value := []byte("mine")
		must(t, s.Set("a", value, 0))
		value[0] = 'X'
		got, _, _ := s.Get("a")
		got[1] = 'X'
		want(t, s, "a", "mine")
	})
}

func TestEntriesExpire(t *testing.T) {
	both(t, func(t *testing.T, s *store.Embedded) {
		must(t, s.Set("stays", []byte("1"), math.MaxInt64))
		must(t, s.Set("goes", []byte("1"), time.Nanosecond))
		must(t, s.Set("gone", []byte("1"), 0))
		must(t, s.Set("gone", []byte("1"), -1))
		absent(t, s, "goes")
		absent(t, s, "gone")
		want(t, s, "stays", "1")
		must(t, s.Set("later", []byte("1"), 50*time.Millisecond))
		if n, err := s.Add("later", 4); err != nil || n != 5 {
			t.Fatalf("Add = %d, %v", n, err)
		}
		deadline := time.Now().Add(10 * time.Second)
		for {
			if _, found, err := s.Get("later"); err != nil {
				t.Fatal(err)
			} else if !found {
				break // Add kept the expiry
			}
			if time.Now().After(deadline) {
				t.Fatal("an entry of 50 ms is there after 10 s")
			}
		}
		if n, err := s.Add("later", 4); err != nil || n != 4 {
			t.Fatalf("Add to what has expired = %d, %v; want 4", n, err)
		}
	})
}

func TestCountersCountAndSayWhenTheyCannot(t *testing.T) {
	both(t, func(t *testing.T, s *store.Embedded) {
		for i, step := range []struct{ delta, want int64 }{{5, 5}, {-7, -2}, {0, -2}, {math.MaxInt64, math.MaxInt64 - 2}} {
			if n, err := s.Add("n", step.delta); err != nil || n != step.want {
				t.Fatalf("step %d: %d, %v; want %d", i, n, err, step.want)
			}
		}
		if n, err := s.Add("n", 3); !errors.Is(err, store.ErrRange) || n != 0 {
			t.Errorf("past the end: %d, %v", n, err)
		}
		want(t, s, "n", fmt.Sprint(int64(math.MaxInt64-2)))
		must(t, s.Set("n", []byte(fmt.Sprint(int64(math.MinInt64))), 0))
		if _, err := s.Add("n", -1); !errors.Is(err, store.ErrRange) {
			t.Errorf("past the other end: %v", err)
		}
		for _, text := range []string{"", "x", "1.5", "9223372036854775808", "1 "} {
			must(t, s.Set("text", []byte(text), 0))
			if _, err := s.Add("text", 1); !errors.Is(err, store.ErrNotNumber) {
				t.Errorf("Add to %q: %v", text, err)
			}
			want(t, s, "text", text)
		}
	})
}

func TestLimitsAreErrors(t *testing.T) {
	both(t, func(t *testing.T, s *store.Embedded) {
		key, value := strings.Repeat("k", store.MaxKey), bytes.Repeat([]byte("v"), store.MaxValue)
		must(t, s.Set(key, value, 0))
		want(t, s, key, string(value))
		if err := s.Set("a", append(value, 'v'), 0); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("long value: %v", err)
		}
		_, _, get := s.Get(key + "k")
		_, add := s.Add(key+"k", 1)
		for _, err := range []error{get, add, s.Set(key+"k", nil, 0), s.Delete(key + "k")} {
			if !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("long key: %v", err)
			}
		}
	})
}

func TestFullStoreSaysSoAndGoesOn(t *testing.T) {
	both(t, func(t *testing.T, s *store.Embedded) {
		for i := range store.MaxEntries {
			must(t, s.Set(fmt.Sprint("key", i), fmt.Appendf(nil, "value %d", i), 0))
		}
		if err := s.Set("one more", nil, 0); !errors.Is(err, store.ErrFull) {
			t.Fatalf("one more: %v", err)
		}
		if _, err := s.Add("one more", 1); !errors.Is(err, store.ErrFull) {
			t.Fatalf("a counter more: %v", err)
		}
		// What is there can still be changed, and what goes makes room.
		must(t, s.Set("key5", []byte("changed"), time.Nanosecond))
		must(t, s.Set("one more", []byte("fits"), 0)) // key5 has expired
		must(t, s.Delete("key6"))
		must(t, s.Set("two more", []byte("fits"), 0))
		want(t, s, "one more", "fits")
		want(t, s, "two more", "fits")
		for i := range store.MaxEntries {
			if i != 5 && i != 6 {
				want(t, s, fmt.Sprint("key", i), fmt.Sprintf("value %d", i))
			}
		}
		absent(t, s, "key5")
		absent(t, s, "key6")
	})
}

func TestGoroutinesOfOneProcessDoNotLoseUpdates(t *testing.T) {
	both(t, func(t *testing.T, s *store.Embedded) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 500 {
					if _, err := s.Add("n", 1); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		want(t, s, "n", "4000")
	})
}

func TestClosedStoreSaysSo(t *testing.T) {
	both(t, func(t *testing.T, s *store.Embedded) {
		must(t, s.Close())
		if _, _, err := s.Get("a"); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Get = %v", err)
		}
	})
}
