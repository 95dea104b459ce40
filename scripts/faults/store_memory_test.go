//go:build faults

package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"prefork/ipc/store"
)

// A store that the memory cgroup has no room for is refused, with both
// numbers, and nobody is killed for the lack of memory.
func TestStoreTooLargeForTheMemoryCgroupIsRefused(t *testing.T) {
	group := memoryGroup(t, 32<<20)
	p := startCalledAt(t, Options{
		Flags: []string{"-w", "1", "--store", "64MiB"},
		Wrap:  []string{"sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, group},
	}, "called", "1")
	x := p.next(t)
	r := x.must(t, storeCall{Verb: "Set", Key: "k", Value: []byte("v")})
	if !strings.Contains(r.Error, "64") || !strings.Contains(r.Error, "32.0 MiB") || !strings.Contains(r.Error, "not enough memory") {
		t.Errorf("the refusal does not name both sizes: %q", r.Error)
	}
	if again := x.must(t, storeCall{Verb: "Get", Key: "k"}); again.Error == "" || again.Found {
		t.Errorf("after the refusal: %+v", again)
	}
	if got := p.settled(t, 1); got[0].PID != x.PID || p.Status(t).Phase != "running" {
		t.Errorf("worker %d was replaced by %+v", x.PID, got)
	}
	control, err := os.ReadFile(filepath.Join(group, "memory.oom_control"))
	if err != nil || !bytes.Contains(control, []byte("oom_kill 0\n")) {
		t.Errorf("out of memory: %v\n%s", err, control)
	}
	Figure(t, "store-cgroup", "a 64 MiB store in a 32 MiB cgroup: %s", r.Error)
}

// memoryGroup makes a memory control group with a limit, below the test's own;
// the test's end removes it.
func memoryGroup(t *testing.T, limit int) string {
	t.Helper()
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(self)), "\n") {
		f := strings.SplitN(line, ":", 3) // id:controllers:path, cgroups(7)
		if f[1] != "memory" {
			continue
		}
		group := filepath.Join("/sys/fs/cgroup/memory", f[2], "prefork-"+filepath.Base(tempDir(t)))
		err := os.Mkdir(group, 0o755)
		if errors.Is(err, os.ErrNotExist) { // a cgroup namespace that is not mounted as such
			group = filepath.Join("/sys/fs/cgroup/memory", filepath.Base(group))
			err = os.Mkdir(group, 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(group, "memory.limit_in_bytes"), []byte(strconv.Itoa(limit)), 0)
		}
		if err != nil {
			t.Skipf("missing: the right to make a memory control group: %v", err)
		}
		t.Cleanup(func() { Eventually(t, "the control group is empty", func() bool { return removeGroup(group) == nil }) })
		return group
	}
	t.Skip("missing: a memory controller of cgroup v1")
	return ""
}

// A million sessions of 200 bytes, written by all workers of a pool.
func TestMillionSessionsFit(t *testing.T) {
	const workers, valueSize = 2, 200
	sessions := Count(t, 1_000_000)
	// What a session takes, and room for the shards to differ.
	size := max(64<<20, sessions*512)
	p := startCalled(t, workers, 1, "--store", fmt.Sprintf("%dKiB?full=refuse", size>>10))
	var waits []func() (storeReply, time.Time, error)
	began := time.Now()
	for i := range workers {
		from, to := sessions/workers*i, sessions/workers*(i+1)
		waits = append(waits, p.next(t).begin(storeCall{Verb: "Fill", Key: fmt.Sprint(from), Places: to - from, Value: make([]byte, valueSize)}))
	}
	for _, wait := range waits {
		if r, _, err := wait(); err != nil || r.Error != "" {
			t.Fatalf("fill: %v %s\n%s", err, r.Error, p.Err)
		}
	}
	took := time.Since(began)
	s := p.openStore(t, store.Options{})
	st, err := s.Stats(background)
	if err != nil {
		t.Fatal(err)
	}
	if st.Entries != int64(sessions) || st.Full != 0 || st.Evicted != 0 {
		t.Errorf("%d sessions: %+v", sessions, st)
	}
	// An index of one word for two blocks, and the shards' heads, are what the
	// segment has beside what is in use.
	Figure(t, "store-sessions", "%d sessions of %d bytes written by %d workers in %v: %d bytes a session in use, in a store of %s of which %d %% are used",
		sessions, valueSize, workers, took.Round(time.Millisecond), st.UsedBytes/st.Entries, store.FormatSize(int64(size)), 100*st.UsedBytes/st.Bytes)
	for i := 0; i < sessions; i += 997 {
		e, found, err := s.Get(background, sessionKey(i))
		if err != nil || !found || len(e.Value) != valueSize || e.TTL == 0 {
			t.Fatalf("session %d: %d bytes, %v, %v", i, len(e.Value), found, err)
		}
	}
	began = time.Now()
	checkStore(t, s)
	Figure(t, "store-check", "of %d entries: %v", st.Entries, time.Since(began).Round(time.Millisecond))
}

// sessionKey has the length of a session's.
func sessionKey(i int) string { return fmt.Sprintf("session/%035d", i) }

// fill writes Places sessions from number Key on.
func (c storeCall) fill(s store.Store) error {
	from, err := strconv.Atoi(c.Key)
	if err != nil {
		return err
	}
	for i := range c.Places {
		if _, err := s.Set(background, sessionKey(from+i), c.Value, store.Write{TTL: time.Hour}); err != nil {
			return err
		}
	}
	return nil
}
