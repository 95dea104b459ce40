package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"prefork/ipc/store"
)

func init() { roles["read"] = read }

// read says "reads" and then copies one entry for ever.
func read(string) error {
	s, err := store.Open(3, store.Options{})
	if err != nil {
		return err
	}
	var into []byte
	for first := true; ; first = false {
		e, found, err := s.GetInto(ctx, "key", into)
		if err != nil || !found {
			return errors.Join(err, fmt.Errorf("found: %v", found))
		}
		into = e.Value
		if first {
			fmt.Println("reads")
		}
	}
}

// A reader that is killed in the middle of a copy leaves nothing that others
// would have to wait for or to repair: it takes no lock while nobody writes.
// The entry is large, so that nearly every kill falls into the copy of it.
func TestKilledReaderLeavesNothing(t *testing.T) {
	kills, atOnce := 40, 4
	if os.Getenv("PREFORK_TEST_FULL") == "1" {
		kills = 400
	}
	g := created(t, store.Config{Size: 4 << 20})
	s := opened(t, g)
	value := bytes.Repeat([]byte("value"), 100_000)
	_, err := s.Set(ctx, "key", value, store.Write{})
	must(t, err)
	for range kills / atOnce {
		var readers sync.WaitGroup
		for range atOnce {
			cmd, out := started(t, g, "read", "")
			readers.Go(func() {
				line, err := out.ReadString('\n')
				if err != nil || line != "reads\n" {
					t.Errorf("a reader says %q, %v", line, err)
				}
				// Not a wait for anything: the kill is to fall at any point.
				moment := time.Duration(rand.IntN(1000)) * time.Microsecond
				for at := time.Now(); time.Since(at) < moment; {
				}
				_ = cmd.Process.Kill()
				_ = cmd.Wait() // killed
			})
		}
		readers.Wait()
		version, err := s.Set(ctx, "key", value, store.Write{})
		must(t, err)
		if e, _, err := s.Get(ctx, "key"); err != nil || e.Version != version || !bytes.Equal(e.Value, value) {
			t.Fatalf("version %d of %d bytes after the write of %d, %v", e.Version, len(e.Value), version, err)
		}
	}
	st, err := s.Stats(ctx)
	must(t, err)
	if st.Repairs != 0 || st.Busy != 0 || st.Locks != 0 || st.Entries != 1 {
		t.Errorf("%d killed readers left %+v", kills, st)
	}
	clean(t, s)
}
