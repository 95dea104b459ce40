package main

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What a process that measures is told.
const (
	envBackend = "BENCH_STORE_BACKEND"
	envSocket  = "BENCH_STORE_SOCKET" // of Redis and memcached
	envEntries = "BENCH_STORE_ENTRIES"
	envSeed    = "BENCH_STORE_SEED"

	fdStore = 3
)

// backend is what is measured, seen from one process.
type backend interface {
	get(key string) error // of an entry that is there
	set(key string, value []byte) error
}

// dial gives the backend of a process.
func dial(kind string, entries int) (backend, error) {
	switch kind {
	case "store":
		return openStore(fdStore)
	case "redis":
		c, err := connect(os.Getenv(envSocket))
		return &redis{c}, err
	case "memcached":
		c, err := connect(os.Getenv(envSocket))
		return &memcached{c}, err
	case "map":
		return newMap(entries), nil
	}
	return nil, fmt.Errorf("backend %q", kind)
}

const (
	keySize   = 16
	valueSize = 256
)

// key gives the key of an entry. It is made for each operation, as a program
// makes it from a cookie: a table of them in each process would be memory that
// competes with what is measured for the caches.
func key(i int) string {
	b := [keySize]byte([]byte("session/00000000"))
	for at := keySize - 1; i > 0; at-- {
		b[at] = '0' + byte(i%10)
		i /= 10
	}
	return string(b[:])
}

// runWorker answers each line of stdin with one of stdout: "fill", "get
// NANOSECONDS", "set NANOSECONDS"; the answer is "OPERATIONS NANOSECONDS
// NANOSECONDS-OF-CPU".
func runWorker() error {
	entries, err := strconv.Atoi(os.Getenv(envEntries))
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(os.Getenv(envSeed), 10, 64)
	if err != nil {
		return err
	}
	b, err := dial(os.Getenv(envBackend), entries)
	if err != nil {
		return err
	}
	w := measure{b, entries, make([]byte, valueSize), rand.New(rand.NewPCG(seed, seed))}
	for i := range w.value {
		w.value[i] = byte(i)
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		before, err := cpu()
		if err != nil {
			return err
		}
		n, took, err := w.obey(lines.Text())
		if err != nil {
			return err
		}
		after, err := cpu()
		if err != nil {
			return err
		}
		fmt.Println(n, took.Nanoseconds(), after-before)
	}
	os.Exit(0) // the end of stdin is the end of the bench
	return nil
}

// cpu gives the nanoseconds that this process has run, garbage collection
// included.
func cpu() (int64, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts)
	return ts.Nano(), os.NewSyscallError("clock_gettime", err)
}

type measure struct {
	backend
	entries int
	value   []byte
	random  *rand.Rand
}

func (m *measure) obey(line string) (n int, took time.Duration, err error) {
	verb, rest, _ := strings.Cut(line, " ")
	began := time.Now()
	if verb == "fill" {
		for i := range m.entries {
			if err := m.set(key(i), m.value); err != nil {
				return 0, 0, err
			}
		}
		return m.entries, time.Since(began), nil
	}
	nanos, err := strconv.ParseInt(rest, 10, 64)
	if err != nil {
		return 0, 0, err
	}
	for took < time.Duration(nanos) {
		switch verb {
		case "get":
			err = m.gets(batch)
		case "set":
			err = m.sets(batch)
		default:
			err = errors.New("asked for " + line)
		}
		if err != nil {
			return 0, 0, err
		}
		n += batch
		took = time.Since(began)
	}
	return n, took, nil
}

// batch is how many operations are made between two looks at the clock.
const batch = 64

func (m *measure) gets(n int) error {
	for range n {
		if err := m.get(key(m.random.IntN(m.entries))); err != nil {
			return err
		}
	}
	return nil
}

func (m *measure) sets(n int) error {
	for range n {
		if err := m.set(key(m.random.IntN(m.entries)), m.value); err != nil {
			return err
		}
	}
	return nil
}
