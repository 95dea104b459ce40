package storetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"

	"prefork/ipc/store"
)

const (
	workers = 8
	rounds  = 50
)

// together runs one function in several goroutines, on several views where
// there are some.
func (s *suite) together(run func(id int, view store.Store)) {
	views := []store.Store{s.Store}
	if s.f.SameProcess {
		views = append(views, s.open(s.T))
	}
	var all sync.WaitGroup
	for id := range workers {
		all.Go(func() { run(id, views[id%len(views)]) })
	}
	all.Wait()
}

func concurrentAdd(s *suite) {
	var seen sync.Map
	s.together(func(_ int, view store.Store) {
		for range rounds {
			sum, err := view.Add(ctx, "n", 1)
			if err != nil {
				s.Error(err)
				return
			}
			if _, twice := seen.LoadOrStore(sum, true); twice {
				s.Errorf("two additions gave %d", sum)
			}
		}
	})
	if e := s.entry("n"); string(e.Value) != strconv.Itoa(workers*rounds) {
		s.Fatalf("%s after %d additions of 1", e.Value, workers*rounds)
	}
}

func concurrentCreate(s *suite) {
	var winners [rounds]atomic.Int32
	s.together(func(id int, view store.Store) {
		for i := range rounds {
			_, err := view.Set(ctx, strconv.Itoa(i), []byte(strconv.Itoa(id)), store.Write{If: store.IfAbsent})
			switch {
			case err == nil:
				winners[i].Add(1)
			case !errors.Is(err, store.ErrConflict):
				s.Error(err)
			}
		}
	})
	for i := range winners {
		if n := winners[i].Load(); n != 1 {
			s.Errorf("key %d was created by %d", i, n)
		}
	}
}

// concurrentSwap has each add its own line to one value by compare and swap:
// none may be lost, and each version may be replaced once.
func concurrentSwap(s *suite) {
	s.put("k", "0", store.Write{})
	var replaced sync.Map
	s.together(func(_ int, view store.Store) {
		for done := 0; done < rounds/2; {
			e, found, err := view.Get(ctx, "k")
			if err != nil || !found {
				s.Errorf("%v, %v", found, err)
				return
			}
			n, err := strconv.Atoi(string(e.Value))
			if err != nil {
				s.Error(err)
				return
			}
			_, err = view.Set(ctx, "k", strconv.AppendInt(nil, int64(n+1), 10), store.Write{If: store.IfVersion, Version: e.Version})
			switch {
			case err == nil:
				done++
				if _, twice := replaced.LoadOrStore(e.Version, true); twice {
					s.Errorf("version %d was replaced twice", e.Version)
				}
			case !errors.Is(err, store.ErrConflict):
				s.Error(err)
				return
			}
		}
	})
	if e := s.entry("k"); string(e.Value) != strconv.Itoa(workers*(rounds/2)) {
		s.Fatalf("%s after %d swaps", e.Value, workers*(rounds/2))
	}
}

// exclude counts who is inside at once, and the most that were.
func (s *suite) exclude(limit int32, take func(ctx context.Context, view store.Store) (store.Token, error)) {
	var inside, most atomic.Int32
	s.together(func(_ int, view store.Store) {
		for range 10 {
			within, cancel := context.WithTimeout(ctx, patience)
			t, err := take(within, view)
			cancel()
			if err != nil {
				s.Error(err)
				return
			}
			n := inside.Add(1)
			for have := most.Load(); n > have && !most.CompareAndSwap(have, n); have = most.Load() {
			}
			if _, err := view.Set(ctx, t.Name, []byte("inside"), store.Write{Token: t}); err != nil {
				s.Error(err)
			}
			inside.Add(-1)
			if err := view.Unlock(ctx, t); err != nil {
				s.Error(err)
			}
		}
	})
	if n := most.Load(); n > limit {
		s.Fatalf("%d were inside at once (max %d)", n, limit)
	}
}

func concurrentLock(s *suite) {
	s.exclude(1, func(ctx context.Context, view store.Store) (store.Token, error) { return view.Lock(ctx, "l", 0) })
}

func concurrentPlaces(s *suite) {
	s.exclude(3, func(ctx context.Context, view store.Store) (store.Token, error) {
		return view.Acquire(ctx, "s", 3, 0)
	})
}
