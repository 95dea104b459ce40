package store_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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
)

// TestMain lets the test binary be a worker: it writes to the store at
// descriptor 3 for as long as it lives, and acknowledges on stdout.
func TestMain(m *testing.M) {
	if name := os.Getenv("STORE_TEST_WORKER"); name != "" {
		fmt.Fprintln(os.Stderr, worker(name))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// worker does one step after the other: a counter of all, a counter of its
// own name, a value that its number makes. It ends with an error only.
func worker(name string) error {
	s, err := store.Open(3)
	if err != nil {
		return err
	}
	for {
		if _, err := s.Add("all", 1); err != nil {
			return err
		}
		n, err := s.Add("counter "+name, 1)
		if err != nil {
			return err
		}
		if err := s.Set("value "+name, pattern(n), time.Hour); err != nil {
			return err
		}
		if n%5 == 0 {
			if err := errors.Join(s.Delete("mark "+name), s.Set("mark "+name, nil, 0)); err != nil {
				return err
			}
		}
		if _, err := fmt.Println(n); err != nil {
			return err
		}
	}
}

// pattern is a value that only the number n gives: its length, then bytes.
func pattern(n int64) []byte {
	length := 8 + int(n*37%(store.MaxValue-8))
	value := bytes.Repeat([]byte{byte(n)}, length)
	binary.LittleEndian.PutUint64(value, uint64(n))
	return value
}

func created(t testing.TB) int {
	t.Helper()
	fd, err := store.Create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

func shared(t testing.TB) *store.Embedded {
	t.Helper()
	s, err := store.Open(created(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTwoViewsAreOneStore(t *testing.T) {
	fd := created(t)
	a, err := store.Open(fd)
	must(t, err)
	b, err := store.Open(fd)
	must(t, err)
	must(t, a.Set("key", []byte("value"), 0))
	want(t, b, "key", "value")
	must(t, a.Close())
	want(t, b, "key", "value")
	must(t, b.Close())
}

func TestForeignDescriptorIsRefused(t *testing.T) {
	if s, err := store.Open(0); err == nil {
		t.Fatalf("Open took stdin: %v", s)
	}
}

func TestScribbledStoreIsAnErrorAtWorst(t *testing.T) {
	fd := created(t)
	s, err := store.Open(fd)
	must(t, err)
	mem, err := unix.Mmap(fd, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	defer func() { _ = unix.Munmap(mem) }()
	r := rand.New(rand.NewPCG(3, 4))
	corrupt := 0
	for i := range 20000 {
		at := 4096 + r.IntN(64*8) // the part of the index that is in use
		if i%2 == 0 {
			at = 65536 + r.IntN(64*1280)
		}
		mem[at] = byte(r.Uint32())
		key := fmt.Sprint(r.IntN(40))
		_, _, get := s.Get(key)
		_, add := s.Add(key+"n", 1)
		for _, err := range []error{get, add, s.Set(key, []byte("v"), time.Hour), s.Delete(key)} {
			if errors.Is(err, store.ErrCorrupt) {
				corrupt++
			} else if err != nil && !errors.Is(err, store.ErrNotNumber) && !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrRange) {
				t.Fatal(err)
			}
		}
		if i%100 == 99 { // begin anew
			clear(mem[4096:])
		}
	}
	t.Logf("%d operations said corrupt", corrupt)
	must(t, s.Close())
}

// ledger is what a worker of one name acknowledged, over all its lives.
type ledger struct {
	acknowledged int64
	kills        int64
	wrong        error
}

// TestKilledWorkersLoseNothingAcknowledged has eight names; the process of
// each is killed after a random number of acknowledged steps, in the middle of
// whatever it does then, and started again.
func TestKilledWorkersLoseNothingAcknowledged(t *testing.T) {
	const names, kills = 8, 160
	fd := created(t)
	s, err := store.Open(fd)
	must(t, err)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var all sync.WaitGroup
	ledgers := make([]ledger, names)
	for i := range names {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		all.Go(func() {
			for range kills / names {
				live(fd, strconv.Itoa(i), 1+r.IntN(60), time.Duration(r.IntN(300))*time.Microsecond, &ledgers[i])
			}
		})
	}
	all.Wait()
	var least, most int64
	for i, l := range ledgers {
		if l.wrong != nil {
			t.Errorf("worker %d: %v", i, l.wrong)
		}
		name := strconv.Itoa(i)
		n := number(t, s, "counter "+name)
		// A kill may fall between the write and its acknowledgement.
		if n < l.acknowledged || n > l.acknowledged+l.kills {
			t.Errorf("worker %d: counter %d, %d acknowledged in %d lives", i, n, l.acknowledged, l.kills)
		}
		value, found, err := s.Get("value " + name)
		if err != nil || !found || len(value) < 8 {
			t.Errorf("worker %d: value of %d bytes, %v, %v", i, len(value), found, err)
			continue
		}
		// Add n comes before Set n: the value is n's or the one before.
		if k := int64(binary.LittleEndian.Uint64(value)); k < n-1 || k > n || !bytes.Equal(value, pattern(k)) {
			t.Errorf("worker %d: value of step %d at step %d, %d bytes: torn or old", i, k, n, len(value))
		}
		least += l.acknowledged
		most += l.acknowledged + l.kills
	}
	// Add of all comes before the worker's own.
	if n := number(t, s, "all"); n < least || n > most {
		t.Errorf("counter of all %d, want %d to %d", n, least, most)
	}
	t.Logf("%d kills, %d steps acknowledged", kills, least)
	must(t, s.Close())
}

func number(t *testing.T, s *store.Embedded, key string) int64 {
	t.Helper()
	text, found, err := s.Get(key)
	n, bad := strconv.ParseInt(string(text), 10, 64)
	if err != nil || !found || bad != nil {
		t.Fatalf("Get(%q) = %q, %v, %v", key, text, found, err)
	}
	return n
}

// live runs one process until it has acknowledged so many steps, waits a
// moment more and kills it.
func live(fd int, name string, steps int, moment time.Duration, l *ledger) {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		l.wrong = err
		return
	}
	segment := os.NewFile(uintptr(own), "store")
	defer segment.Close()
	var stderr bytes.Buffer
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_TEST_WORKER="+name)
	cmd.ExtraFiles = []*os.File{segment}
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.wrong = err
		return
	}
	if err := cmd.Start(); err != nil {
		l.wrong = err
		return
	}
	// A worker that hangs on a lock that nobody holds would say nothing.
	hung := time.AfterFunc(30*time.Second, func() {
		stderr.WriteString("no answer for 30 s")
		_ = cmd.Process.Kill()
	})
	defer hung.Stop()
	in := bufio.NewReader(out)
	for range steps {
		if err := l.read(in); err != nil {
			l.wrong = fmt.Errorf("%w: %v: %s", err, cmd.Wait(), stderr.String())
			return
		}
	}
	// Not a wait for anything: the kill is to fall at any point of a step.
	for at := time.Now(); time.Since(at) < moment; {
		if in.Buffered() > 0 {
			if err := l.read(in); err != nil {
				break
			}
		}
	}
	_ = cmd.Process.Kill()
	for l.read(in) == nil { // what it had said before it died
	}
	_ = cmd.Wait()
	l.kills++
}

func (l *ledger) read(in *bufio.Reader) error {
	line, err := in.ReadString('\n')
	if err != nil {
		return io.ErrUnexpectedEOF
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

func BenchmarkGet(b *testing.B) {
	s := shared(b)
	must(b, s.Set("key", make([]byte, 256), time.Hour))
	for b.Loop() {
		if _, _, err := s.Get("key"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSet(b *testing.B) {
	s := shared(b)
	value := make([]byte, 256)
	for b.Loop() {
		must(b, s.Set("key", value, time.Hour))
	}
}
