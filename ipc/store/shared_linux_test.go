package store_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/store"
	"prefork/ipc/store/storetest"
)

// TestMain lets the test binary be a process that uses the store at
// descriptor 3 until it is killed.
func TestMain(m *testing.M) {
	if role := os.Getenv("STORE_TEST_ROLE"); role != "" {
		fmt.Fprintln(os.Stderr, roles[role](os.Getenv("STORE_TEST_NAME")))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

var roles = map[string]func(name string) error{
	"write": write,
	"hold":  hold,
}

// write does one step after the other, each in its own key and in one that all
// share, and acknowledges it on stdout.
func write(name string) error {
	s, err := store.Open(3, store.Options{})
	if err != nil {
		return err
	}
	for {
		if _, err := s.Add(ctx, "all", 1); err != nil {
			return err
		}
		n, err := s.Add(ctx, "counter "+name, 1)
		if err != nil {
			return err
		}
		if _, err := s.Set(ctx, "value "+name, pattern(n), store.Write{TTL: time.Hour}); err != nil {
			return err
		}
		if n%5 == 0 {
			if _, err := s.Delete(ctx, "mark "+name, 0); err != nil {
				return err
			}
			if _, err := s.Set(ctx, "mark "+name, nil, store.Write{}); err != nil {
				return err
			}
			t, err := s.Lock(ctx, "lock", 0)
			if err != nil {
				return err
			}
			if _, err := s.Set(ctx, "fenced", []byte(name), store.Write{Token: t}); err != nil {
				return err
			}
			if err := s.Unlock(ctx, t); err != nil {
				return err
			}
		}
		if _, err := fmt.Println(n); err != nil {
			return err
		}
	}
}

// hold takes a lock and a place, says so, and keeps them.
func hold(name string) error {
	s, err := store.Open(3, store.Options{})
	if err != nil {
		return err
	}
	if _, err := s.Lock(ctx, name, 0); err != nil {
		return err
	}
	if _, err := s.Acquire(ctx, name, 1, 0); err != nil {
		return err
	}
	fmt.Println("held")
	return unix.Pause()
}

// pattern is a value that only the number n gives: n, then bytes.
func pattern(n int64) []byte {
	value := bytes.Repeat([]byte{byte(n)}, 8+int(n*37%3000))
	binary.LittleEndian.PutUint64(value, uint64(n))
	return value
}

func created(t testing.TB, c store.Config) *store.Segment {
	t.Helper()
	g, err := store.Create(c)
	must(t, err)
	t.Cleanup(func() { must(t, g.Close()) })
	return g
}

func opened(t testing.TB, g *store.Segment) *store.Embedded {
	t.Helper()
	s, err := store.Open(g.FD(), store.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func clean(t testing.TB, s *store.Embedded) {
	t.Helper()
	if r, err := s.Check(ctx); err != nil || !r.Clean() {
		t.Errorf("check: %v\n%s", err, r)
	}
}

// started runs a role on a segment; out reads what it says.
func started(t testing.TB, g *store.Segment, role, name string) (cmd *exec.Cmd, out *bufio.Reader) {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(g.FD()), unix.F_DUPFD_CLOEXEC, 0)
	must(t, err)
	file := os.NewFile(uintptr(fd), "store")
	defer func() { _ = file.Close() }()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_TEST_ROLE="+role, "STORE_TEST_NAME="+name)
	cmd.ExtraFiles = []*os.File{file}
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return cmd, bufio.NewReader(pipe)
}

func TestTwoViewsAreOneStore(t *testing.T) {
	g := created(t, store.Config{Size: 1 << 20})
	a, b := opened(t, g), opened(t, g)
	_, err := a.Set(ctx, "key", []byte("value"), store.Write{})
	must(t, err)
	got, found, err := b.Get(ctx, "key")
	if err != nil || !found || string(got.Value) != "value" {
		t.Fatalf("%+v, %v, %v", got, found, err)
	}
	clean(t, b)
}

func TestForeignDescriptorIsRefused(t *testing.T) {
	if s, err := store.Open(0, store.Options{}); err == nil {
		t.Fatalf("Open took stdin: %v", s)
	}
}

func TestIDsAreNeverGivenTwice(t *testing.T) {
	g := created(t, store.Config{})
	seen := make(map[uint64]bool)
	for i := range 1000 {
		id := g.DrawID()
		if seen[id] || id == 0 {
			t.Fatalf("id %d again", id)
		}
		seen[id] = true
		if i%100 == 0 { // a hostile worker sets the counter back
			mem, err := unix.Mmap(g.FD(), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			must(t, err)
			binary.NativeEndian.PutUint64(mem[6*8:], uint64(i%3)<<62)
			must(t, unix.Munmap(mem))
		}
	}
	s, err := store.Open(g.FD(), store.Options{ID: g.DrawID()})
	must(t, err)
	defer func() { _ = s.Close() }()
	if _, err := store.Open(g.FD(), store.Options{ID: 0}); err != nil {
		t.Error(err)
	}
}

func TestLivingProcessKeepsItsID(t *testing.T) {
	g := created(t, store.Config{})
	id := g.DrawID()
	a, err := store.Open(g.FD(), store.Options{ID: id})
	must(t, err)
	if _, err := store.Open(g.FD(), store.Options{ID: id}); err == nil {
		t.Error("two have one id")
	}
	must(t, a.Close())
}

func TestStoreIsSparseUntilItIsOpened(t *testing.T) {
	g := created(t, store.Config{Size: 64 << 20})
	var st unix.Stat_t
	must(t, unix.Fstat(g.FD(), &st))
	if st.Blocks*512 > 1<<20 {
		t.Errorf("%d bytes before the first open", st.Blocks*512)
	}
	opened(t, g)
	must(t, unix.Fstat(g.FD(), &st))
	if st.Blocks*512 < 64<<20 {
		t.Errorf("%d bytes are reserved", st.Blocks*512)
	}
}

func TestLocksOfAKilledProcessAreFree(t *testing.T) {
	g := created(t, store.Config{Size: 1 << 20})
	s := opened(t, g)
	for i := range 10 {
		cmd, out := started(t, g, "hold", "name")
		line, err := out.ReadString('\n')
		if err != nil || line != "held\n" {
			t.Fatalf("%q, %v", line, err)
		}
		if _, ok, err := s.TryLock(ctx, "name", 0); ok || err != nil {
			t.Fatalf("taken from a living process: %v", err)
		}
		if _, ok, err := s.TryAcquire(ctx, "name", 1, 0); ok || err != nil {
			t.Fatalf("taken from a living process: %v", err)
		}
		began := time.Now()
		must(t, cmd.Process.Kill())
		lock, err := s.Lock(ctx, "name", 0)
		must(t, err)
		place, err := s.Acquire(ctx, "name", 1, 0)
		must(t, err)
		t.Logf("round %d: free %v after the kill", i, time.Since(began))
		_ = cmd.Wait() // killed
		must(t, s.Unlock(ctx, lock))
		must(t, s.Unlock(ctx, place))
	}
	clean(t, s)
}

// ledger is what a process of one name acknowledged, over all its lives.
type ledger struct {
	acknowledged, kills int64
	wrong               error
}

// TestKilledProcessesLoseNothingAcknowledged has eight names; the process of
// each is killed after a random number of acknowledged steps, in the middle of
// whatever it does then, and started again.
func TestKilledProcessesLoseNothingAcknowledged(t *testing.T) {
	const names, kills = 8, 160
	g := created(t, store.Config{Size: 1 << 20})
	s := opened(t, g)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var all sync.WaitGroup
	ledgers := make([]ledger, names)
	for i := range names {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		all.Go(func() {
			for range kills / names {
				live(t, g, strconv.Itoa(i), 1+r.IntN(60), time.Duration(r.IntN(300))*time.Microsecond, &ledgers[i])
			}
		})
	}
	all.Wait()
	var least, most int64
	for i, l := range ledgers {
		if l.wrong != nil {
			t.Errorf("process %d: %v", i, l.wrong)
		}
		name := strconv.Itoa(i)
		n := number(t, s, "counter "+name)
		// A kill may fall between the write and its acknowledgement.
		if n < l.acknowledged || n > l.acknowledged+l.kills {
			t.Errorf("process %d: counter %d, %d acknowledged in %d lives", i, n, l.acknowledged, l.kills)
		}
		e, found, err := s.Get(ctx, "value "+name)
		if err != nil || !found || len(e.Value) < 8 {
			t.Errorf("process %d: value of %d bytes, %v, %v", i, len(e.Value), found, err)
			continue
		}
		// Add n comes before Set n: the value is n's or the one before.
		if k := int64(binary.LittleEndian.Uint64(e.Value)); k < n-1 || k > n || !bytes.Equal(e.Value, pattern(k)) {
			t.Errorf("process %d: value of step %d at step %d, %d bytes: torn or old", i, k, n, len(e.Value))
		}
		least += l.acknowledged
		most += l.acknowledged + l.kills
	}
	if n := number(t, s, "all"); n < least || n > most {
		t.Errorf("counter of all %d, want %d to %d", n, least, most)
	}
	st, err := s.Stats(ctx)
	must(t, err)
	t.Logf("%d kills, %d steps acknowledged, %+v", kills, least, st)
	clean(t, s)
}

func number(t *testing.T, s *store.Embedded, key string) int64 {
	t.Helper()
	e, found, err := s.Get(ctx, key)
	n, bad := strconv.ParseInt(string(e.Value), 10, 64)
	if err != nil || !found || bad != nil {
		t.Fatalf("Get(%q) = %q, %v, %v", key, e.Value, found, err)
	}
	return n
}

// live runs one process until it has acknowledged so many steps, waits a
// moment more and kills it.
func live(t *testing.T, g *store.Segment, name string, steps int, moment time.Duration, l *ledger) {
	cmd, in := started(t, g, "write", name)
	// A process that hangs on a lock that nobody holds would say nothing.
	hung := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer hung.Stop()
	for range steps {
		if err := l.read(in); err != nil {
			l.wrong = fmt.Errorf("%w: %v", err, cmd.Wait())
			return
		}
	}
	// Not a wait for anything: the kill is to fall at any point of a step.
	for at := time.Now(); time.Since(at) < moment; {
		if in.Buffered() > 0 && l.read(in) != nil {
			break
		}
	}
	_ = cmd.Process.Kill()
	for l.read(in) == nil { // what it had said before it died
	}
	_ = cmd.Wait()
	l.kills++
}

var errSaid = errors.New("it said no more")

func (l *ledger) read(in *bufio.Reader) error {
	line, err := in.ReadString('\n')
	if err != nil {
		return errSaid
	}
	n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err == nil && n <= l.acknowledged {
		err = fmt.Errorf("step %d after %d was acknowledged", n, l.acknowledged)
	}
	if err != nil {
		l.wrong = err
		return err
	}
	l.acknowledged = n
	return nil
}

// TestScribbledStoreIsAnErrorAtWorst sets random bytes of the segment, the
// header but for its hash key and size included, and uses it.
func TestScribbledStoreIsAnErrorAtWorst(t *testing.T) {
	const size = 256 << 10
	g := created(t, store.Config{Size: size})
	s := opened(t, g)
	own := g.DrawID() - 1 // the one before is what Open drew
	mem, err := unix.Mmap(g.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	defer func() { _ = unix.Munmap(mem) }()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 4))
	errs := make(map[string]int)
	const flips = 20000
	for i := range flips {
		at := r.IntN(size)
		switch r.IntN(4) {
		case 0:
			at = 9728*8 + r.IntN(1024) // the shard
		case 1:
			at = 9728*8 + 1024 + r.IntN(8<<10) // the index
		}
		if lock := 9728 * 8; at >= lock && at < lock+8 && r.IntN(20) > 0 {
			continue // 10 ms each
		}
		bit := byte(1) << r.IntN(8)
		mem[at] ^= bit
		if id, _, _ := g.Holder(0); id == own {
			mem[at] ^= bit // this process lives: each operation would wait for it, and Close too
		}
		key := fmt.Sprint(r.IntN(60))
		note := func(err error) {
			for _, known := range []error{store.ErrCorrupt, store.ErrNotNumber, store.ErrRange, store.ErrFull, store.ErrBusy, store.ErrFenced} {
				if errors.Is(err, known) {
					errs[known.Error()]++
					return
				}
			}
			if err != nil {
				t.Fatalf("flip %d: %v", i, err)
			}
		}
		_, _, err := s.Get(ctx, key)
		note(err)
		_, err = s.Set(ctx, key, make([]byte, r.IntN(600)), store.Write{TTL: time.Duration(r.IntN(2)) * time.Hour})
		note(err)
		switch i % 8 {
		case 0:
			_, err = s.Add(ctx, key+"n", 1)
			note(err)
		case 1:
			_, err = s.Delete(ctx, key, 0)
			note(err)
		case 2:
			token, ok, err := s.TryLock(ctx, key, 0)
			note(err)
			if ok {
				note(s.Unlock(ctx, token))
			}
		case 3:
			_, _, err = s.Scan(ctx, uint64(r.IntN(1000)), 100)
			note(err)
		case 4:
			_, err = s.Stats(ctx)
			note(err)
		}
		if i%500 == 499 {
			_, err = s.Check(ctx)
			note(err)
		}
	}
	t.Logf("%d bytes flipped: %v", flips, errs)
}

func shared(t testing.TB, size int64) *store.Embedded {
	return opened(t, created(t, store.Config{Size: size, Full: store.RefuseFull}))
}

func TestSharedStoreKeepsTheContract(t *testing.T) {
	segments := make(map[*testing.T]*store.Segment)
	storetest.Run(t, func(t *testing.T) store.Store {
		if segments[t] == nil {
			segments[t] = created(t, store.Config{Size: 16 << 20, Full: store.RefuseFull})
		}
		return opened(t, segments[t])
	}, storetest.Features{SameProcess: true})
}
