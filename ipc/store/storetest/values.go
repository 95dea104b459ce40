package storetest

import (
	"bytes"
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"prefork/ipc/store"
)

func setThenGet(s *suite) {
	value := []byte("value")
	version, err := s.Set(ctx, "k", value, store.Write{})
	s.must(err)
	value[0] = 'X' // what was given is the caller's again
	e := s.entry("k")
	if string(e.Value) != "value" || e.Version != version || version == 0 || e.TTL != 0 {
		s.Fatalf("%+v, version %d", e, version)
	}
	e.Value[0] = 'Y' // a copy
	if again := s.entry("k"); string(again.Value) != "value" {
		s.Fatalf("a change of the copy changed the entry: %q", again.Value)
	}
}

func absent(s *suite) {
	e, found, err := s.Get(ctx, "nobody")
	if found || err != nil || e.Value != nil || e.Version != 0 || e.TTL != 0 {
		s.Fatalf("get: %+v, %v, %v", e, found, err)
	}
	if found, err := s.Touch(ctx, "nobody", time.Hour); found || err != nil {
		s.Fatalf("touch: %v, %v", found, err)
	}
	if found, err := s.Touch(ctx, "nobody", -1); found || err != nil {
		s.Fatalf("touch: %v, %v", found, err)
	}
	if found, err := s.Delete(ctx, "nobody", 0); found || err != nil {
		s.Fatalf("delete: %v, %v", found, err)
	}
	if found, err := s.Delete(ctx, "nobody", 77); found || err != nil {
		s.Fatalf("delete of a version: %v, %v", found, err)
	}
	s.gone("nobody")
}

func anyBytes(s *suite) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, key := range []string{"", " ", "a b\r\n", "{tag}x", "}{", "a}b", "{}", string(all), strings.Repeat("\x00", 300), "*", "ключ"} {
		for _, value := range []string{"", "\r\n", string(all), strings.Repeat("x", 70000)} {
			s.put(key, value, store.Write{})
			if e := s.entry(key); string(e.Value) != value {
				s.Fatalf("%q: %d bytes became %d", key, len(value), len(e.Value))
			}
		}
	}
}

func bounds(s *suite) {
	longest := strings.Repeat("k", store.MaxKey)
	largest := bytes.Repeat([]byte("v"), store.MaxValue)
	_, err := s.Set(ctx, longest, largest, store.Write{})
	s.must(err)
	if e := s.entry(longest); !bytes.Equal(e.Value, largest) {
		s.Fatalf("%d bytes", len(e.Value))
	}
	_, err = s.Set(ctx, "k", append(largest, 'v'), store.Write{})
	s.wants(err, store.ErrTooLarge)
	s.gone("k")
	long := longest + "k"
	_, err = s.Set(ctx, long, nil, store.Write{})
	s.wants(err, store.ErrTooLarge)
	_, _, err = s.Get(ctx, long)
	s.wants(err, store.ErrTooLarge)
	_, err = s.Delete(ctx, long, 0)
	s.wants(err, store.ErrTooLarge)
	_, err = s.Touch(ctx, long, 0)
	s.wants(err, store.ErrTooLarge)
	_, err = s.Add(ctx, long, 1)
	s.wants(err, store.ErrTooLarge)
	_, _, err = s.TryLock(ctx, long, 0)
	s.wants(err, store.ErrTooLarge)
	_, _, err = s.TryAcquire(ctx, long, 1, 0)
	s.wants(err, store.ErrTooLarge)
	_, err = s.Epoch(ctx, long)
	s.wants(err, store.ErrTooLarge)
}

func versions(s *suite) {
	seen := map[uint64]bool{0: true} // never 0
	for i := range 20 {
		version := s.put("k", "value "+strconv.Itoa(i), store.Write{})
		if seen[version] {
			s.Fatalf("write %d has version %d again", i, version)
		}
		seen[version] = true
	}
	clear(seen) // versions are those of a key
	seen[0] = true
	for i := range 20 {
		_, err := s.Add(ctx, "n", 1)
		s.must(err)
		version := s.entry("n").Version
		if seen[version] {
			s.Fatalf("addition %d has version %d again", i, version)
		}
		seen[version] = true
	}
	if !s.f.ValueVersions {
		first := s.put("same", "same", store.Write{})
		if second := s.put("same", "same", store.Write{}); first == second {
			s.Fatalf("two writes of one value have version %d", first)
		}
	}
}

func conditions(s *suite) {
	_, err := s.Set(ctx, "k", nil, store.Write{If: store.IfPresent})
	s.wants(err, store.ErrConflict)
	_, err = s.Set(ctx, "k", nil, store.Write{If: store.IfVersion, Version: 1})
	s.wants(err, store.ErrConflict)
	s.gone("k")
	first := s.put("k", "1", store.Write{If: store.IfAbsent})
	_, err = s.Set(ctx, "k", []byte("2"), store.Write{If: store.IfAbsent})
	s.wants(err, store.ErrConflict)
	second := s.put("k", "2", store.Write{If: store.IfPresent})
	_, err = s.Set(ctx, "k", []byte("3"), store.Write{If: store.IfVersion, Version: first})
	s.wants(err, store.ErrConflict)
	third := s.put("k", "3", store.Write{If: store.IfVersion, Version: second})
	if e := s.entry("k"); string(e.Value) != "3" || e.Version != third {
		s.Fatalf("%+v, version %d", e, third)
	}
	fourth := s.put("k", "4", store.Write{If: store.Always})
	// Each condition again, together with a ttl.
	fifth := s.put("k", "5", store.Write{If: store.IfVersion, Version: fourth, TTL: time.Hour})
	s.between(s.entry("k").TTL, time.Minute, time.Hour)
	sixth := s.put("k", "6", store.Write{If: store.IfVersion, Version: fifth, KeepTTL: true})
	s.between(s.entry("k").TTL, time.Minute, time.Hour)
	s.put("k", "7", store.Write{If: store.IfVersion, Version: sixth})
	s.between(s.entry("k").TTL, 0, 0)
	s.put("k", "8", store.Write{If: store.IfPresent, TTL: time.Hour})
	s.put("j", "9", store.Write{If: store.IfAbsent, TTL: time.Hour})
	s.between(s.entry("k").TTL, time.Minute, time.Hour)
	s.between(s.entry("j").TTL, time.Minute, time.Hour)
}

func conflictLeaves(s *suite) {
	version := s.put("k", "1", store.Write{TTL: time.Hour})
	for _, w := range []store.Write{
		{If: store.IfAbsent, TTL: time.Second},
		{If: store.IfAbsent, TTL: -1},
		{If: store.IfVersion, Version: version + 1},
		{If: store.IfVersion, Version: version + 1, TTL: -1},
		{If: store.IfVersion}, // there is no version 0
	} {
		_, err := s.Set(ctx, "k", []byte("2"), w)
		s.wants(err, store.ErrConflict)
	}
	_, err := s.Delete(ctx, "k", version+1)
	s.wants(err, store.ErrConflict)
	e := s.entry("k")
	if string(e.Value) != "1" || e.Version != version {
		s.Fatalf("%+v", e)
	}
	s.between(e.TTL, time.Minute, time.Hour)
}

func expiry(s *suite) {
	s.put("k", "v", store.Write{TTL: time.Hour})
	s.between(s.entry("k").TTL, time.Hour-patience, time.Hour)
	version := s.put("k", "v2", store.Write{TTL: 20 * time.Millisecond})
	s.goneSoon("k")
	// What has expired is not there, for anybody.
	_, err := s.Set(ctx, "k", nil, store.Write{If: store.IfPresent})
	s.wants(err, store.ErrConflict)
	_, err = s.Set(ctx, "k", nil, store.Write{If: store.IfVersion, Version: version})
	s.wants(err, store.ErrConflict)
	if found, err := s.Touch(ctx, "k", time.Hour); found || err != nil {
		s.Fatalf("touch: %v, %v", found, err)
	}
	if found, err := s.Delete(ctx, "k", version); found || err != nil {
		s.Fatalf("delete: %v, %v", found, err)
	}
	s.put("k", "again", store.Write{If: store.IfAbsent})
	if e := s.entry("k"); string(e.Value) != "again" || e.TTL != 0 {
		s.Fatalf("%+v", e)
	}
}

func keepTTL(s *suite) {
	s.put("k", "1", store.Write{TTL: time.Hour})
	s.put("k", "2", store.Write{KeepTTL: true})
	s.between(s.entry("k").TTL, time.Hour-patience, time.Hour)
	s.put("k", "3", store.Write{KeepTTL: true, TTL: time.Second}) // not looked at
	s.between(s.entry("k").TTL, time.Hour-patience, time.Hour)
	s.put("k", "4", store.Write{KeepTTL: true, TTL: -1})
	e := s.entry("k")
	s.between(e.TTL, time.Hour-patience, time.Hour)
	if string(e.Value) != "4" {
		s.Fatalf("%q", e.Value)
	}
	s.put("new", "5", store.Write{KeepTTL: true})
	s.between(s.entry("new").TTL, 0, 0)
	s.put("new", "6", store.Write{KeepTTL: true})
	s.between(s.entry("new").TTL, 0, 0)
}

func negativeTTL(s *suite) {
	for _, ttl := range []time.Duration{-1, -time.Hour, math.MinInt64} {
		s.put("k", "1", store.Write{})
		s.put("k", "2", store.Write{TTL: ttl})
		s.gone("k")
		version := s.put("k", "1", store.Write{TTL: time.Hour})
		s.put("k", "2", store.Write{TTL: ttl, If: store.IfVersion, Version: version})
		s.gone("k")
		s.put("k", "1", store.Write{})
		s.put("k", "2", store.Write{TTL: ttl, If: store.IfPresent})
		s.gone("k")
		s.put("k", "2", store.Write{TTL: ttl, If: store.IfAbsent})
		s.gone("k")
		s.put("k", "2", store.Write{TTL: ttl})
		s.gone("k")
		s.put("k", "1", store.Write{TTL: time.Hour})
		if found, err := s.Touch(ctx, "k", ttl); !found || err != nil {
			s.Fatalf("touch: %v, %v", found, err)
		}
		s.gone("k")
	}
}

func setDropsTTL(s *suite) {
	s.put("k", "1", store.Write{TTL: time.Hour})
	s.put("k", "2", store.Write{})
	s.between(s.entry("k").TTL, 0, 0)
}

func hugeTTL(s *suite) {
	s.put("k", "1", store.Write{TTL: math.MaxInt64})
	if e := s.entry("k"); e.TTL != 0 && e.TTL < 24*365*time.Hour {
		s.Fatalf("%v", e.TTL)
	}
	if found, err := s.Touch(ctx, "k", math.MaxInt64); !found || err != nil {
		s.Fatalf("touch: %v, %v", found, err)
	}
	if e := s.entry("k"); e.TTL != 0 && e.TTL < 24*365*time.Hour {
		s.Fatalf("%v", e.TTL)
	}
}

func tinyTTL(s *suite) {
	s.put("k", "1", store.Write{TTL: 1})
	s.goneSoon("k")
	s.put("k", "1", store.Write{})
	if _, err := s.Touch(ctx, "k", 1); err != nil {
		s.Fatal(err)
	}
	s.goneSoon("k")
}

func touch(s *suite) {
	version := s.put("k", "v", store.Write{})
	for _, ttl := range []time.Duration{time.Hour, 2 * time.Hour, time.Minute, 0} {
		if found, err := s.Touch(ctx, "k", ttl); !found || err != nil {
			s.Fatalf("%v: %v, %v", ttl, found, err)
		}
		e := s.entry("k")
		if string(e.Value) != "v" || e.Version != version {
			s.Fatalf("%v: %+v, want version %d", ttl, e, version)
		}
		s.between(e.TTL, max(0, ttl-patience), ttl)
	}
	if _, err := s.Touch(ctx, "k", 20*time.Millisecond); err != nil {
		s.Fatal(err)
	}
	s.goneSoon("k")
}

func deletes(s *suite) {
	first := s.put("k", "1", store.Write{})
	second := s.put("k", "2", store.Write{})
	_, err := s.Delete(ctx, "k", first)
	s.wants(err, store.ErrConflict)
	if found, err := s.Delete(ctx, "k", second); !found || err != nil {
		s.Fatalf("%v, %v", found, err)
	}
	s.gone("k")
	s.put("k", "3", store.Write{TTL: time.Hour})
	if found, err := s.Delete(ctx, "k", 0); !found || err != nil {
		s.Fatalf("%v, %v", found, err)
	}
	s.gone("k")
}

func add(s *suite) {
	sum := int64(0)
	for _, delta := range []int64{1, 0, 41, -100, math.MaxInt64, 58, math.MinInt64, -1, 1} {
		got, err := s.Add(ctx, "n", delta)
		s.must(err)
		sum += delta
		if got != sum {
			s.Fatalf("adding %d gives %d, want %d", delta, got, sum)
		}
		if e := s.entry("n"); string(e.Value) != strconv.FormatInt(sum, 10) || e.TTL != 0 {
			s.Fatalf("%+v, want %d as text", e, sum)
		}
	}
	s.put("n", "-7", store.Write{})
	if got, err := s.Add(ctx, "n", 10); got != 3 || err != nil {
		s.Fatalf("%d, %v", got, err)
	}
}

func addExpiry(s *suite) {
	s.put("n", "5", store.Write{TTL: time.Hour})
	_, err := s.Add(ctx, "n", 1)
	s.must(err)
	s.between(s.entry("n").TTL, time.Hour-patience, time.Hour)
	if _, err := s.Touch(ctx, "n", time.Millisecond); err != nil {
		s.Fatal(err)
	}
	s.goneSoon("n")
	if got, err := s.Add(ctx, "n", 3); got != 3 || err != nil {
		s.Fatalf("after the expiry: %d, %v", got, err)
	}
	s.between(s.entry("n").TTL, 0, 0)
}

func addNotNumber(s *suite) {
	for _, text := range []string{"", "x", "1x", " 1", "1 ", "1.5", "+1", "01", "-0", "0x10", "9223372036854775808", "-9223372036854775809", strings.Repeat("1", 5000)} {
		s.put("n", text, store.Write{})
		_, err := s.Add(ctx, "n", 1)
		s.wants(err, store.ErrNotNumber)
		if e := s.entry("n"); string(e.Value) != text {
			s.Fatalf("%q became %q", text, e.Value)
		}
	}
}

func addRange(s *suite) {
	for _, c := range []struct{ have, delta int64 }{
		{math.MaxInt64, 1}, {1, math.MaxInt64}, {math.MinInt64, -1}, {-1, math.MinInt64}, {math.MaxInt64, math.MaxInt64},
	} {
		text := strconv.FormatInt(c.have, 10)
		s.put("n", text, store.Write{})
		_, err := s.Add(ctx, "n", c.delta)
		s.wants(err, store.ErrRange)
		if e := s.entry("n"); string(e.Value) != text {
			s.Fatalf("%q became %q", text, e.Value)
		}
	}
}

// scan changes the store while it walks through it.
func scan(s *suite) {
	const stay = 300
	want := make(map[string]bool)
	for i := range stay {
		key := "stays " + strconv.Itoa(i)
		s.put(key, "v", store.Write{})
		want[key] = true
		s.put("goes "+strconv.Itoa(i), "v", store.Write{})
	}
	s.put("expired", "v", store.Write{TTL: 1})
	s.goneSoon("expired")
	got := make(map[string]int)
	cursor, calls := uint64(0), 0
	for {
		keys, next, err := s.Scan(ctx, cursor, 10)
		s.must(err)
		for _, key := range keys {
			got[key]++
		}
		if next == 0 {
			break
		}
		if calls < stay {
			_, err := s.Delete(ctx, "goes "+strconv.Itoa(calls), 0)
			s.must(err)
			s.put("comes "+strconv.Itoa(calls), "v", store.Write{})
		}
		if cursor, calls = next, calls+1; calls > 100000 {
			s.Fatal("no end")
		}
	}
	for key := range want {
		if got[key] == 0 {
			s.Errorf("%q was there all the time and was not given", key)
		}
	}
	if got["expired"] > 0 {
		s.Error("an expired key was given")
	}
	for _, count := range []int{0, -1, math.MaxInt} { // about count
		_, _, err := s.Scan(ctx, 0, count)
		s.must(err)
	}
}

func stats(s *suite) {
	before, err := s.Stats(ctx)
	s.must(err)
	version := s.put("k", "v", store.Write{})
	s.put("k", "w", store.Write{})
	s.put("j", "w", store.Write{})
	s.entry("k")
	s.gone("nobody")
	_, err = s.Set(ctx, "k", nil, store.Write{If: store.IfVersion, Version: version})
	s.wants(err, store.ErrConflict)
	_, err = s.Delete(ctx, "k", 0)
	s.must(err)
	after, err := s.Stats(ctx)
	s.must(err)
	for _, c := range []struct {
		name        string
		was, is, by int64
	}{
		{"entries", before.Entries, after.Entries, 1},
		{"hits", before.Hits, after.Hits, 1},
		{"misses", before.Misses, after.Misses, 1},
		{"sets", before.Sets, after.Sets, 3},
		{"deletes", before.Deletes, after.Deletes, 1},
		{"conflicts", before.Conflicts, after.Conflicts, 1},
	} {
		grown := c.is - c.was
		if grown < c.by || !s.f.ServerCounters && grown != c.by {
			s.Errorf("%s grew from %d to %d, want by %d", c.name, c.was, c.is, c.by)
		}
	}
	if after.UsedBytes == 0 {
		s.Error("an entry uses no bytes")
	}
}

func endedContext(s *suite) {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	s.put("k", "v", store.Write{})
	held, _, err := s.TryLock(ctx, "held", 0)
	s.must(err)
	e, err := s.Epoch(ctx, "e")
	s.must(err)
	for name, run := range map[string]func() error{
		"get":     func() error { _, _, err := s.Get(ended, "k"); return err },
		"set":     func() error { _, err := s.Set(ended, "k", []byte("w"), store.Write{}); return err },
		"delete":  func() error { _, err := s.Delete(ended, "k", 0); return err },
		"touch":   func() error { _, err := s.Touch(ended, "k", 1); return err },
		"add":     func() error { _, err := s.Add(ended, "n", 1); return err },
		"scan":    func() error { _, _, err := s.Scan(ended, 0, 10); return err },
		"stats":   func() error { _, err := s.Stats(ended); return err },
		"lock":    func() error { _, err := s.Lock(ended, "l", 0); return err },
		"trylock": func() error { _, _, err := s.TryLock(ended, "l", 0); return err },
		"acquire": func() error { _, err := s.Acquire(ended, "l", 1, 0); return err },
		"unlock":  func() error { return s.Unlock(ended, held) },
		"renew":   func() error { return s.Renew(ended, held, 0) },
		"epoch":   func() error { _, err := s.Epoch(ended, "e2"); return err },
		"bump":    func() error { return e.Bump(ended) },
	} {
		if err := run(); err == nil || !isContext(err) {
			s.Errorf("%s: %v", name, err)
		}
	}
	if e := s.entry("k"); string(e.Value) != "v" || e.TTL != 0 {
		s.Fatalf("%+v", e)
	}
	s.gone("n")
	s.must(s.Unlock(ctx, held))
}

func closed(s *suite) {
	token, ok, err := s.TryLock(ctx, "l", 0)
	if !ok || err != nil {
		s.Fatalf("%v, %v", ok, err)
	}
	s.must(s.Close())
	s.must(s.Close()) // a second time does nothing
	_, _, err = s.Get(ctx, "k")
	s.wants(err, store.ErrClosed)
	_, err = s.Set(ctx, "k", nil, store.Write{})
	s.wants(err, store.ErrClosed)
	_, err = s.Delete(ctx, "k", 0)
	s.wants(err, store.ErrClosed)
	_, err = s.Touch(ctx, "k", 0)
	s.wants(err, store.ErrClosed)
	_, err = s.Add(ctx, "k", 1)
	s.wants(err, store.ErrClosed)
	_, _, err = s.Scan(ctx, 0, 1)
	s.wants(err, store.ErrClosed)
	_, err = s.Lock(ctx, "l", 0)
	s.wants(err, store.ErrClosed)
	s.wants(s.Unlock(ctx, token), store.ErrClosed)
	s.wants(s.Renew(ctx, token, 0), store.ErrClosed)
	_, err = s.Epoch(ctx, "e")
	s.wants(err, store.ErrClosed)
}
