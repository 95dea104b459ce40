package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"prefork/ipc/store"
	"prefork/ipc/store/snapshot"
)

func TestEveryEntryComesBackWithValueAndExpiry(t *testing.T) {
	s := filled(t, 200)
	_, err := s.Add(ctx, "counter", 41)
	must(t, err)
	_, err = s.Set(ctx, string(bytes.Repeat([]byte{7}, store.MaxKey)), bytes.Repeat([]byte{9}, 100000), store.Write{})
	must(t, err)
	file := written(t, s)

	to := empty()
	n, err := snapshot.Read(ctx, bytes.NewReader(file), to)
	must(t, err)
	want, got := content(t, s), content(t, to)
	if n != 202 || len(got) != 202 {
		t.Fatalf("%d loaded, %d there, want 202", n, len(got))
	}
	for k, w := range want {
		g := got[k]
		if !bytes.Equal(g.Value, w.Value) || (g.TTL == 0) != (w.TTL == 0) {
			t.Errorf("key %q: %d bytes for %s, want %d for %s", k, len(g.Value), g.TTL, len(w.Value), w.TTL)
		}
		if w.TTL != 0 && (g.TTL > time.Hour || g.TTL < 50*time.Minute) {
			t.Errorf("key %q: %s of an hour are left", k, g.TTL)
		}
	}
	if sum, err := to.Add(ctx, "counter", 1); err != nil || sum != 42 {
		t.Errorf("the counter goes on with %d, %v", sum, err)
	}
}

func TestEmptyStoreIsASnapshotToo(t *testing.T) {
	file := written(t, empty())
	n, err := snapshot.Read(ctx, bytes.NewReader(file), empty())
	if n != 0 || err != nil || len(file) != 56 {
		t.Errorf("%d entries, %v, %d bytes", n, err, len(file))
	}
}

func TestExpiryGoesOnWhileTheFileLiesThere(t *testing.T) {
	s := empty()
	for key, ttl := range map[string]time.Duration{"minutes": 10 * time.Minute, "hours": 10 * time.Hour, "ever": 0} {
		_, err := s.Set(ctx, key, nil, store.Write{TTL: ttl})
		must(t, err)
	}
	begun := time.Unix(1e9, 5)
	for _, c := range []struct {
		later time.Duration
		n     int
		left  time.Duration // of "hours"
	}{
		{0, 3, 10 * time.Hour},
		{9 * time.Minute, 3, 10*time.Hour - 9*time.Minute},
		{11 * time.Minute, 2, 10*time.Hour - 11*time.Minute},
		{11 * time.Hour, 1, 0},
		{-300 * 24 * time.Hour, 3, 10 * time.Hour}, // a clock that has not been set yet
	} {
		var b bytes.Buffer
		_, err := snapshot.WriteAt(ctx, &b, s, func() time.Time { return begun })
		must(t, err)
		to := empty()
		n, err := snapshot.ReadAt(ctx, bytes.NewReader(b.Bytes()), to, func() time.Time { return begun.Add(c.later) })
		must(t, err)
		e, _, err := to.Get(ctx, "hours")
		must(t, err)
		if n != c.n || e.TTL > c.left || e.TTL < c.left-time.Minute {
			t.Errorf("after %s: %d entries, %s left, want %d and %s", c.later, n, e.TTL, c.n, c.left)
		}
	}
}

// An entry that is written an hour after the header lives an hour longer by
// the file.
func TestExpiryCountsFromTheTimeInTheHeader(t *testing.T) {
	s := empty()
	_, err := s.Set(ctx, "k", nil, store.Write{TTL: time.Hour})
	must(t, err)
	at, first := time.Unix(1e9, 0), true
	clock := func() time.Time {
		if first {
			first = false
			return at
		}
		return at.Add(time.Hour)
	}
	var b bytes.Buffer
	_, err = snapshot.WriteAt(ctx, &b, s, clock)
	must(t, err)
	to := empty()
	_, err = snapshot.ReadAt(ctx, bytes.NewReader(b.Bytes()), to, func() time.Time { return at.Add(90 * time.Minute) })
	must(t, err)
	if e, found, err := to.Get(ctx, "k"); err != nil || !found || e.TTL > 30*time.Minute || e.TTL < 29*time.Minute {
		t.Errorf("%s left, %v, %v, want half an hour", e.TTL, found, err)
	}
}

func TestLongestExpiryDoesNotOverflow(t *testing.T) {
	s := empty()
	_, err := s.Set(ctx, "k", nil, store.Write{TTL: 1<<63 - 1})
	must(t, err)
	to := empty()
	_, err = snapshot.Read(ctx, bytes.NewReader(written(t, s)), to)
	must(t, err)
	if e, found, err := to.Get(ctx, "k"); err != nil || !found || e.TTL < 0 {
		t.Errorf("%s left, %v, %v", e.TTL, found, err)
	}
}

func TestOtherEntriesOfTheStoreStay(t *testing.T) {
	to := empty()
	for _, k := range []string{"mine", "key 0\xff\x00"} {
		_, err := to.Set(ctx, k, []byte("old"), store.Write{})
		must(t, err)
	}
	_, err := snapshot.Read(ctx, bytes.NewReader(written(t, filled(t, 3))), to)
	must(t, err)
	got := content(t, to)
	if len(got) != 4 || string(got["mine"].Value) != "old" || string(got["key 0\xff\x00"].Value) != "" {
		t.Errorf("%v", got)
	}
}

func TestPipeIsReadLikeAFile(t *testing.T) {
	file := written(t, filled(t, 50))
	t.Setenv("TMPDIR", t.TempDir())
	n, err := snapshot.Read(ctx, io.MultiReader(bytes.NewReader(file)), empty())
	if n != 50 || err != nil {
		t.Errorf("%d entries, %v", n, err)
	}
	s := empty()
	if n, err := snapshot.Read(ctx, io.MultiReader(bytes.NewReader(file[:len(file)-1])), s); n != 0 || !errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("cut by a byte: %d entries, %v", n, err)
	}
}

func TestBusyStoreIsAskedAgain(t *testing.T) {
	for name, s := range map[string]*troubled{
		"get":  {Store: filled(t, 5), get: store.ErrBusy, times: 3},
		"scan": {Store: filled(t, 5), scan: store.ErrBusy, times: 3},
	} {
		if file := written(t, s); len(content(t, s)) != 5 || s.times != 0 {
			t.Errorf("%s: %d bytes, %d times left", name, len(file), s.times)
		} else if n, err := snapshot.Read(ctx, bytes.NewReader(file), &troubled{Store: empty(), set: store.ErrBusy, times: 3}); n != 5 || err != nil {
			t.Errorf("%s: loaded %d, %v", name, n, err)
		}
	}
	always := &troubled{Store: filled(t, 5), get: store.ErrBusy, times: -1}
	if _, err := snapshot.Write(ctx, io.Discard, always); !errors.Is(err, store.ErrBusy) {
		t.Errorf("always busy: %v", err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := snapshot.Write(over, io.Discard, &troubled{Store: empty(), scan: store.ErrBusy, times: -1}); !errors.Is(err, context.Canceled) {
		t.Errorf("context over: %v", err)
	}
}

// What the store itself cannot read any more is left out; anything else that
// it says ends the writing.
func TestDamagedEntryOfTheStoreDoesNotCostTheOthers(t *testing.T) {
	file := written(t, &troubled{Store: filled(t, 5), get: store.ErrCorrupt, times: 2})
	if n, err := snapshot.Read(ctx, bytes.NewReader(file), empty()); n != 3 || err != nil {
		t.Errorf("%d entries, %v, want 3", n, err)
	}
	for _, s := range []*troubled{
		{Store: filled(t, 5), get: store.ErrUnavailable, times: 1},
		{Store: filled(t, 5), scan: store.ErrUnavailable, times: 1},
	} {
		if _, err := snapshot.Write(ctx, io.Discard, s); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	}
}

func TestEntryThatNoStoreTakesIsNotWritten(t *testing.T) {
	for _, s := range []snapshot.Source{
		foreign{"k", make([]byte, store.MaxValue+1)},
		foreign{string(make([]byte, store.MaxKey+1)), nil},
	} {
		if _, err := snapshot.Write(ctx, io.Discard, s); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%v", err)
		}
	}
}

// foreign is a server with one entry.
type foreign struct {
	key   string
	value []byte
}

func (f foreign) Scan(context.Context, uint64, int) ([]string, uint64, error) {
	return []string{f.key}, 0, nil
}

func (f foreign) Get(context.Context, string) (store.Entry, bool, error) {
	return store.Entry{Value: f.value}, true, nil
}

func TestStoreThatIsTooSmallSaysSo(t *testing.T) {
	big := store.Private(store.Config{Size: 4 << 20})
	for i := range 300 {
		_, err := big.Set(ctx, string(rune('a'+i)), make([]byte, 5000), store.Write{})
		must(t, err)
	}
	n, err := snapshot.Read(ctx, bytes.NewReader(written(t, big)), empty())
	if n == 0 || n == 300 || !errors.Is(err, store.ErrFull) || errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("%d entries, %v", n, err)
	}
	t.Log(err)
}

func TestCheckSaysWhatIsInAFile(t *testing.T) {
	i, err := snapshot.Check(ctx, bytes.NewReader(written(t, filled(t, 10))))
	must(t, err)
	if age := time.Since(i.Written); i.Entries != 10 || i.Expired != 0 || i.Bytes != 10*7+45 || age < 0 || age > time.Minute {
		t.Errorf("%+v", i)
	}
}
