//go:build faults

package faults

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Where a segment has its internal locks, docs/reference/store-layout.md.
const (
	layoutShards    = 2 * 8    // how many there are
	layoutShard     = 9728 * 8 // the first
	layoutShardSize = 64 * 8
	layoutForeign   = 14 * 8 // of a shard: blocks taken from others less those given
	layoutIdentity  = 6 * 8  // magic, size, geometry, key of the hash
)

// killPace is above the second that the master takes between two of them.
const killPace = 1100 * time.Millisecond

// Workers are stopped (SIGSTOP) at the moment when they hold an internal lock
// of the store. Everybody else goes on within two seconds, nothing is lost,
// and the stopped one is gone; one line of the log says so.
func TestStopsWithAnInternalLockHoldUpNobodyForLong(t *testing.T) {
	rounds := Count(t, 200)
	// The master kills one such process a second: several pools share the time.
	const pools = 4
	var wg sync.WaitGroup
	took := make([][]time.Duration, pools)
	stopped := make([][]int, pools)
	tries := make([]int, pools)
	all := make([]*hammered, pools)
	for i := range pools {
		// One that is stopped keeps its named locks, and who waits for those
		// meets no internal one; a shard that nobody else needs stays locked, so
		// that there are few: one for 512 KiB.
		all[i] = startHammersWith(t, 3, 1, []string{"unguarded"}, "--store", "4MiB")
	}
	for i, h := range all {
		memory := mapMemfd(t, h.PID, "prefork-store")
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 11))
			pace := time.NewTicker(killPace)
			defer pace.Stop()
			for len(took[i]) < rounds/pools && !t.Failed() {
				<-pace.C
				pid := h.stopHolder(t, memory, random, &tries[i])
				if pid == 0 {
					return
				}
				took[i] = append(took[i], h.untilGone(t, memory, pid))
				stopped[i] = append(stopped[i], pid)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	var times []time.Duration
	longest, beats := uint64(0), uint64(0)
	for i, h := range all {
		h.settle(t)
		times = append(times, took[i]...)
		beats += h.ledger.sum(h.lanes, laneBeats)
		for n := range h.lanes {
			longest = max(longest, h.ledger.lane(n).words[laneLongest].Load())
		}
		for _, pid := range stopped[i] {
			if n := len(killedHolder(pid).FindAllString(h.Err.String(), -1)); n != 1 {
				t.Errorf("%d lines name worker %d, which was stopped with a lock", n, pid)
			}
		}
	}
	middle, last := median(times)
	tried := 0
	for _, n := range tries {
		tried += n
	}
	Figure(t, "store-stopped", "%d workers stopped with an internal lock (of %d stopped): gone after %v (median), %v at most; the longest of %d operations of the others, with its repetitions, %v",
		len(times), tried, middle.Round(time.Millisecond), last.Round(time.Millisecond), beats, time.Duration(longest).Round(time.Millisecond))
	if longest > uint64(2*time.Second) {
		t.Errorf("an operation took %v", time.Duration(longest))
	}
}

// killedHolder is the line of the log about a worker.
func killedHolder(pid int) *regexp.Regexp {
	return regexp.MustCompile(fmt.Sprintf(`"killing a process that held the store's lock".*"pid":%d,`, pid))
}

// stopHolder stops workers at random until one holds an internal lock, and
// gives its pid; the others go on.
func (h *hammered) stopHolder(t testing.TB, memory []byte, random *rand.Rand, tries *int) int {
	late := time.Now().Add(Patience)
	for time.Now().Before(late) {
		pause := time.NewTimer(time.Duration(random.IntN(2000)) * time.Microsecond)
		<-pause.C // stops must not follow a rhythm
		n := random.IntN(h.lanes)
		pid, ok := h.ledger.signalLane(n, syscall.SIGSTOP)
		if !ok {
			continue
		}
		*tries++
		for !allStopped(pid) {
			if h.Ended() {
				t.Errorf("the master ended\n%s", h.Err)
				return 0
			}
		}
		if holds(memory, storeID(pid)) {
			return pid
		}
		if syscall.Kill(pid, syscall.SIGCONT) != nil {
			return pid // the master was quicker than this test: its log will say so
		}
		for i := range h.each {
			h.ledger.lane(n/h.each*h.each + i).words[lanePID].CompareAndSwap(0, uint64(pid))
		}
	}
	t.Errorf("no worker was stopped with an internal lock, in %d tries", *tries)
	return 0
}

// allStopped says that every thread of a process is stopped: each one stops
// when it next enters the kernel.
func allStopped(pid int) bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(tasks) == 0 {
		return true // it has gone
	}
	for _, path := range tasks {
		text, err := os.ReadFile(path)
		_, after, _ := bytes.Cut(text, []byte(") ")) // proc_pid_stat(5): the name is in brackets
		if err == nil && !bytes.HasPrefix(after, []byte("T")) {
			return false
		}
	}
	return true
}

// storeID is the id that the master gave a worker; 0 when it has gone.
func storeID(pid int) uint64 {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return 0
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if text, ok := strings.CutPrefix(string(entry), "PREFORK_ID="); ok {
			id, _ := strconv.ParseUint(text, 10, 64)
			return id
		}
	}
	return 0
}

// holders gives who has each of the internal locks, 0 nobody.
func holders(memory []byte) []uint64 {
	ids := make([]uint64, binary.LittleEndian.Uint64(memory[layoutShards:]))
	for sh := range ids {
		ids[sh] = binary.LittleEndian.Uint64(memory[layoutShard+sh*layoutShardSize:]) >> 1
	}
	return ids
}

// holds says whether a process has one of the internal locks.
func holds(memory []byte, id uint64) bool {
	return id != 0 && slices.Contains(holders(memory), id)
}

// untilGone waits for the end of a worker and for its successor, and gives the
// time to its end.
func (h *hammered) untilGone(t testing.TB, memory []byte, pid int) time.Duration {
	began := time.Now()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		defer func() { _ = unix.Close(fd) }()
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(Patience.Milliseconds()))
			if err == unix.EINTR {
				continue
			}
			if n == 0 || err != nil {
				t.Errorf("worker %d, stopped with a lock, is still there after %v: %v; id %d, locks %v, %d operations, %d times busy\n%s",
					pid, Patience, err, storeID(pid), holders(memory), h.ledger.sum(h.lanes, laneBeats), h.ledger.sum(h.lanes, laneBusy), h.Err)
				_ = syscall.Kill(pid, syscall.SIGCONT)
			}
			break
		}
	}
	took := time.Since(began)
	tick := time.NewTicker(5 * time.Millisecond) // the ledger announces nothing
	defer tick.Stop()
	for late := time.Now().Add(Patience); ; <-tick.C {
		idle := 0
		for i := range h.lanes {
			if h.ledger.lane(i).words[lanePID].Load() == 0 {
				idle++
			}
		}
		if idle == 0 {
			return took
		}
		if time.Now().After(late) {
			t.Errorf("%d lanes have nobody at work\n%s", idle, h.Err)
			return took
		}
	}
}
