package storetest

import (
	"context"
	"errors"
	"time"

	"prefork/ipc/store"
)

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// lock takes a lock that must be free.
func (s *suite) lock(name string, ttl time.Duration) store.Token {
	s.Helper()
	t, ok, err := s.TryLock(ctx, name, ttl)
	s.must(err)
	if !ok {
		s.Fatalf("lock %q is held", name)
	}
	if t.Name != name || t.Number == 0 || t.Places != 0 {
		s.Fatalf("token %+v of lock %q", t, name)
	}
	return t
}

// place takes a place that must be free.
func (s *suite) place(name string, places int, ttl time.Duration) store.Token {
	s.Helper()
	t, ok, err := s.TryAcquire(ctx, name, places, ttl)
	s.must(err)
	if !ok {
		s.Fatalf("no place of %q is free", name)
	}
	if t.Name != name || t.Number == 0 || t.Places != places {
		s.Fatalf("token %+v of a place of %q", t, name)
	}
	return t
}

// held says that a lock must be held.
func (s *suite) held(name string) {
	s.Helper()
	if t, ok, err := s.TryLock(ctx, name, 0); ok || err != nil || t != (store.Token{}) {
		s.Fatalf("lock %q: %+v, %v, %v; want it held", name, t, ok, err)
	}
}

// full says that no place must be free.
func (s *suite) full(name string, places int) {
	s.Helper()
	if t, ok, err := s.TryAcquire(ctx, name, places, 0); ok || err != nil || t != (store.Token{}) {
		s.Fatalf("semaphore %q: %+v, %v, %v; want it full", name, t, ok, err)
	}
}

// within gives Lock a context that ends the test's waiting.
func (s *suite) within(run func(ctx context.Context) error) {
	s.Helper()
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s.must(run(limit))
}

func lockOne(s *suite) {
	t := s.lock("l", 0)
	s.held("l") // not re-entrant
	s.lock("another", 0)
	if s.f.SameProcess {
		other := s.open(s.T)
		if _, ok, err := other.TryLock(ctx, "l", 0); ok || err != nil {
			s.Fatalf("the other view: %v, %v", ok, err)
		}
	}
	s.must(s.Unlock(ctx, t))
	s.wants(s.Unlock(ctx, t), store.ErrFenced)
	again := s.lock("l", 0)
	s.wants(s.Unlock(ctx, t), store.ErrFenced)
	s.held("l")
	s.must(s.Unlock(ctx, again))
	s.wants(s.Unlock(ctx, store.Token{Name: "never taken", Number: 1}), store.ErrFenced)
	s.wants(s.Renew(ctx, store.Token{Name: "never taken", Number: 1}, time.Hour), store.ErrFenced)
	s.wants(s.Unlock(ctx, store.Token{Name: "never taken", Number: 1, Places: 2}), store.ErrFenced)
	s.wants(s.Renew(ctx, store.Token{Name: "never taken", Number: 1, Places: 2}, time.Hour), store.ErrFenced)
	_, _, err := s.TryLock(ctx, "l", -1)
	if err == nil {
		s.Fatal("a lock with a negative ttl was taken")
	}
}

func lockContext(s *suite) {
	s.lock("l", 0)
	short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	defer cancel()
	_, err := s.Lock(short, "l", 0)
	if !isContext(err) {
		s.Fatalf("%v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		_, err := s.Lock(cancelled, "l", 0)
		done <- err
	}()
	cancel()
	select {
	case err := <-done:
		if !isContext(err) {
			s.Fatalf("%v", err)
		}
	case <-time.After(patience):
		s.Fatal("Lock waits on after its context has ended")
	}
}

func lockHandOver(s *suite) {
	t := s.lock("l", 0)
	got := make(chan store.Token, 1)
	go func() {
		limit, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		t, err := s.Lock(limit, "l", 0)
		if err != nil {
			s.Error(err)
		}
		got <- t
	}()
	s.must(s.Unlock(ctx, t))
	if next := <-got; next.Number <= t.Number {
		s.Fatalf("token %d after %d", next.Number, t.Number)
	}
	s.held("l")
}

func lockTTL(s *suite) {
	t := s.lock("l", 50*time.Millisecond)
	var next store.Token
	s.within(func(ctx context.Context) (err error) {
		next, err = s.Lock(ctx, "l", time.Hour) // waits for the ttl
		return err
	})
	s.wants(s.Unlock(ctx, t), store.ErrFenced)
	s.wants(s.Renew(ctx, t, time.Hour), store.ErrFenced)
	s.held("l")
	if next.Number <= t.Number {
		s.Fatalf("token %d after %d", next.Number, t.Number)
	}
	s.must(s.Unlock(ctx, next))
}

func lockRenew(s *suite) {
	t := s.lock("l", time.Hour)
	s.must(s.Renew(ctx, t, 20*time.Millisecond)) // shorter, too
	s.until("the lock is free", func() bool {
		_, ok, err := s.TryLock(ctx, "l", time.Hour)
		s.must(err)
		return ok
	})
	s.wants(s.Renew(ctx, t, time.Hour), store.ErrFenced)

	long := s.lock("m", 500*time.Millisecond)
	s.must(s.Renew(ctx, long, 0)) // not by time any more
	marker := s.lock("marker", 600*time.Millisecond)
	s.within(func(ctx context.Context) error { // 600 ms have passed
		_, err := s.Lock(ctx, marker.Name, 0)
		return err
	})
	s.held("m")
	s.must(s.Unlock(ctx, long))
	if err := s.Renew(ctx, long, -1); err == nil {
		s.Fatal("renewed with a negative ttl")
	}
}

func tokensGrow(s *suite) {
	last := uint64(0)
	for i := range 50 {
		var t store.Token
		if i%2 == 0 {
			t = s.lock("l", time.Hour)
			s.must(s.Unlock(ctx, t))
		} else {
			t = s.lock("l", time.Millisecond)
			s.until("the lock's time is over", func() bool { return errors.Is(s.Renew(ctx, t, time.Millisecond/2), store.ErrFenced) })
		}
		if t.Number <= last {
			s.Fatalf("token %d after %d", t.Number, last)
		}
		last = t.Number
	}
	last = 0
	for range 50 {
		t := s.place("s", 60, 0)
		if t.Number <= last {
			s.Fatalf("place %d after %d", t.Number, last)
		}
		last = t.Number
	}
}

func namesAreNotKeys(s *suite) {
	s.put("x", "v", store.Write{})
	l := s.lock("x", 0)
	p := s.place("x", 1, 0)
	e, err := s.Epoch(ctx, "x")
	s.must(err)
	s.must(e.Bump(ctx))
	if v := s.entry("x"); string(v.Value) != "v" {
		s.Fatalf("%q", v.Value)
	}
	s.lock("only a lock", 0)
	s.gone("only a lock")
	if found, err := s.Delete(ctx, "only a lock", 0); found || err != nil {
		s.Fatalf("%v, %v", found, err)
	}
	s.held("only a lock")
	found := 0
	for cursor, first := uint64(0), true; first || cursor != 0; first = false {
		keys, next, err := s.Scan(ctx, cursor, 100)
		s.must(err)
		for _, key := range keys {
			if key != "x" {
				s.Fatalf("scan gave %q", key)
			}
			found++
		}
		cursor = next
	}
	if found == 0 {
		s.Fatal("scan did not give the key")
	}
	// A token of one is none of the other: numbers are those of a lock, or of
	// a semaphore, and may be equal.
	s.must(s.Unlock(ctx, p))
	s.wants(s.Unlock(ctx, store.Token{Name: "x", Number: l.Number, Places: 1}), store.ErrFenced)
	p = s.place("x", 1, 0)
	s.must(s.Unlock(ctx, l))
	s.wants(s.Unlock(ctx, store.Token{Name: "x", Number: p.Number}), store.ErrFenced)
	s.must(s.Unlock(ctx, p))
}

// fencing is the late write of a holder whose lock went to another.
func fencing(s *suite) {
	t := s.lock("k", time.Hour)
	with := func(t store.Token) error {
		_, err := s.Set(ctx, "k", []byte("v"), store.Write{Token: t})
		return err
	}
	s.must(with(t))
	version := s.entry("k").Version
	_, err := s.Set(ctx, "k", []byte("v2"), store.Write{Token: t, If: store.IfVersion, Version: version, TTL: time.Hour})
	s.must(err)
	s.between(s.entry("k").TTL, time.Minute, time.Hour)
	s.put("k", "w", store.Write{Token: t, KeepTTL: true})
	s.between(s.entry("k").TTL, time.Minute, time.Hour)
	_, err = s.Set(ctx, "k", nil, store.Write{Token: t, If: store.IfAbsent})
	s.wants(err, store.ErrConflict)
	_, err = s.Set(ctx, "k", nil, store.Write{Token: t, If: store.IfVersion, Version: version})
	s.wants(err, store.ErrConflict)

	s.must(s.Renew(ctx, t, time.Millisecond)) // its time is over, nobody else has it
	s.until("the token holds nothing", func() bool { return errors.Is(with(t), store.ErrFenced) })
	next := s.lock("k", time.Hour)
	for _, w := range []store.Write{
		{Token: t},
		{Token: t, If: store.IfAbsent},
		{Token: t, If: store.IfPresent},
		{Token: t, TTL: -1},
		{Token: store.Token{Name: "k", Number: next.Number + 1}},
		{Token: store.Token{Name: "k", Number: next.Number, Places: 1}},
		{Token: store.Token{Name: "k"}},
		{Token: store.Token{Name: "k", Number: 1}},
	} {
		_, err := s.Set(ctx, "k", []byte("late"), w)
		s.wants(err, store.ErrFenced)
	}
	s.must(with(next))
	s.must(s.Unlock(ctx, next))
	s.wants(with(next), store.ErrFenced)
	if e := s.entry("k"); string(e.Value) != "v" {
		s.Fatalf("%q", e.Value)
	}
	next = s.lock("k", time.Hour)
	s.put("k", "", store.Write{Token: next, TTL: -1})
	s.gone("k")
}

func fencingPlace(s *suite) {
	t := s.place("k", 2, time.Hour)
	u := s.place("k", 2, time.Hour)
	s.put("k", "t", store.Write{Token: t})
	s.put("k", "u", store.Write{Token: u})
	s.must(s.Unlock(ctx, t))
	_, err := s.Set(ctx, "k", []byte("late"), store.Write{Token: t})
	s.wants(err, store.ErrFenced)
	s.put("k", "u2", store.Write{Token: u})
}

func places(s *suite) {
	var held []store.Token
	for range 3 {
		held = append(held, s.place("s", 3, 0))
	}
	s.full("s", 3)
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := s.Acquire(short, "s", 3, 0); !isContext(err) {
		s.Fatalf("%v", err)
	}
	s.must(s.Unlock(ctx, held[1]))
	s.wants(s.Unlock(ctx, held[1]), store.ErrFenced)
	s.within(func(ctx context.Context) error {
		t, err := s.Acquire(ctx, "s", 3, 0)
		held[1] = t
		return err
	})
	s.full("s", 3)
	got := make(chan error, 1)
	go func() {
		limit, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_, err := s.Acquire(limit, "s", 3, 0)
		got <- err
	}()
	s.must(s.Unlock(ctx, held[0]))
	s.must(<-got)
	s.full("s", 3)
	s.must(s.Renew(ctx, held[1], time.Hour))
	s.must(s.Renew(ctx, held[1], 0))
	s.must(s.Unlock(ctx, held[1]))
	s.must(s.Unlock(ctx, held[2]))
	one := s.place("one", 1, 0)
	s.full("one", 1)
	s.must(s.Unlock(ctx, one))
	s.place("one", 1, 0)
}

func placeTTL(s *suite) {
	first := s.place("s", 2, 50*time.Millisecond)
	second := s.place("s", 2, time.Hour)
	s.within(func(ctx context.Context) error {
		_, err := s.Acquire(ctx, "s", 2, time.Hour)
		return err
	})
	s.wants(s.Renew(ctx, first, time.Hour), store.ErrFenced)
	s.wants(s.Unlock(ctx, first), store.ErrFenced)
	s.full("s", 2)
	s.must(s.Renew(ctx, second, time.Millisecond))
	s.within(func(ctx context.Context) error {
		_, err := s.Acquire(ctx, "s", 2, time.Hour)
		return err
	})
	s.wants(s.Renew(ctx, second, time.Hour), store.ErrFenced)
}

func placesBounds(s *suite) {
	for _, n := range []int{-1, 0, store.MaxPlaces + 1} {
		if _, err := s.Acquire(ctx, "s", n, 0); err == nil {
			s.Errorf("Acquire took %d places", n)
		}
		if _, _, err := s.TryAcquire(ctx, "s", n, 0); err == nil {
			s.Errorf("TryAcquire took %d places", n)
		}
	}
	for range store.MaxPlaces {
		s.place("s", store.MaxPlaces, time.Hour)
	}
	s.full("s", store.MaxPlaces)
}

func closeReleases(s *suite) {
	if !s.f.SameProcess {
		return // one view alone cannot show it
	}
	other := s.open(s.T)
	l, ok, err := other.TryLock(ctx, "l", time.Hour)
	if !ok || err != nil {
		s.Fatalf("%v, %v", ok, err)
	}
	p, ok, err := other.TryAcquire(ctx, "s", 1, 0)
	if !ok || err != nil {
		s.Fatalf("%v, %v", ok, err)
	}
	s.held("l")
	s.full("s", 1)
	s.must(other.Close())
	s.within(func(ctx context.Context) error { _, err := s.Lock(ctx, "l", 0); return err })
	s.within(func(ctx context.Context) error { _, err := s.Acquire(ctx, "s", 1, 0); return err })
	for _, t := range []store.Token{l, p} {
		_, err = s.Set(ctx, t.Name, []byte("late"), store.Write{Token: t})
		s.wants(err, store.ErrFenced)
		s.gone(t.Name)
	}
}

func epochs(s *suite) {
	e, err := s.Epoch(ctx, "templates")
	s.must(err)
	if e.Load() != 0 {
		s.Fatalf("starts at %d", e.Load())
	}
	views := []store.Epoch{e}
	again, err := s.Epoch(ctx, "templates")
	s.must(err)
	views = append(views, again)
	if s.f.SameProcess {
		other, err := s.open(s.T).Epoch(ctx, "templates")
		s.must(err)
		views = append(views, other)
	}
	apart, err := s.Epoch(ctx, "another")
	s.must(err)
	want := uint64(0)
	for range 3 {
		for i, e := range views {
			s.must(e.Bump(ctx))
			want++
			if e.Load() != want {
				s.Fatalf("after bump %d view %d, which did it, loads %d", want, i, e.Load())
			}
			for j, o := range views {
				if s.f.EpochDelay == 0 && o.Load() != want {
					s.Fatalf("after bump %d view %d loads %d", want, j, o.Load())
				}
				s.until("the bump is seen", func() bool { return o.Load() == want })
			}
		}
	}
	if apart.Load() != 0 {
		s.Fatalf("another epoch loads %d", apart.Load())
	}
	late, err := s.Epoch(ctx, "templates")
	s.must(err)
	if late.Load() != want {
		s.Fatalf("found later it loads %d, want %d", late.Load(), want)
	}
}
