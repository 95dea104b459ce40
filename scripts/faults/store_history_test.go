//go:build faults

package faults

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sys/unix"

	"prefork/ipc/store"
)

// What several processes did to the store at the same time, killed in between,
// is what one after the other could have done: each operation took effect at
// one instant between its call and its answer, and one whose process was
// killed at one instant after its call, or never.
func TestHistoriesWithKillsAreLinearizable(t *testing.T) {
	const workers, each, keys, locks = 4, 2, 500, 40
	total := Count(t, 200_000)
	p := startCalled(t, workers, each)
	r, clients := recordClients(t, p, keys, locks, workers*each, total)
	kills := r.kill(t, int64(total), 1000)
	clients.Wait()
	if t.Failed() {
		return
	}
	r.addDeaths()
	r.readAll(t, p.openStore(t, store.Options{}))
	Figure(t, "store-histories", "%d operations of %d connections to %d workers, %d kills, %d operations with an unknown end: %s",
		len(r.ops), workers*each, workers, kills, r.unknown, r.judge(t))
	r.wantNoticed(t)
	checkStore(t, p.openStore(t, store.Options{}))
}

// recordClients has so many connections do operations until there are total of
// them. It returns at once; clients is done when they are.
func recordClients(t *testing.T, p *called, keys, locks, connections, total int) (r *recorder, clients *sync.WaitGroup) {
	r = &recorder{
		pool: p, keys: keys, locks: locks, base: time.Now(),
		versions: map[string]map[uint64]uint64{}, deaths: map[int]span{},
	}
	clients = &sync.WaitGroup{}
	for i := range connections {
		clients.Go(func() { r.client(t, rand.New(rand.NewPCG(uint64(i), 5)), int64(total)) })
	}
	return r, clients
}

// judge looks for an order of all that was recorded, and says what came of it
// and how long it took.
func (r *recorder) judge(t *testing.T) string {
	began := time.Now()
	result := porcupine.CheckOperationsTimeout(historyModel, r.ops, 3*time.Minute)
	if result != porcupine.Ok {
		t.Errorf("the histories are %s; not linearizable: %v", result, r.culprits())
	}
	return fmt.Sprintf("%s, checked in %v", result, time.Since(began).Round(time.Millisecond))
}

// span is a time, in nanoseconds since the recorder's base.
type span struct{ from, to int64 }

// recorder has the operations of all clients.
type recorder struct {
	pool        *called
	keys, locks int
	base        time.Time
	done        atomic.Int64 // operations begun
	lastValue   atomic.Uint64

	mu       sync.Mutex
	ops      []porcupine.Operation
	unknown  int
	versions map[string]map[uint64]uint64 // value of each version of each key
	deaths   map[int]span                 // by pid
	pids     []int                        // of the workers whose connections are up
}

func (r *recorder) now() int64 { return time.Since(r.base).Nanoseconds() }

// opInput is an operation, opOutput what came of it. Values are numbers, never
// given twice; 0 is none.
type opInput struct {
	verb   string // get, set, add (if absent), swap, delete, cut (delete a version); lock, unlock, death
	key    string
	value  uint64 // written
	expect uint64 // value of the version, of swap and cut
	token  uint64
	pid    int
}

type opOutput struct {
	unknown bool   // the process was killed
	done    bool   // found; written; taken
	refused bool   // ErrConflict, ErrFenced
	value   uint64 // read
	token   uint64
}

// opState is a key, or a lock.
type opState struct {
	value uint64 // of a key; of a lock the token of its holder
	pid   int    // of a lock's holder
	last  uint64 // highest token that was given
}

var historyModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		var parts [][]porcupine.Operation
		at := map[string]int{}
		for _, op := range history {
			key := op.Input.(opInput).key
			i, ok := at[key]
			if !ok {
				i = len(parts)
				at[key] = i
				parts = append(parts, nil)
			}
			parts[i] = append(parts[i], op)
		}
		return parts
	},
	Init: func() any { return opState{} },
	Step: func(state, input, output any) (bool, any) {
		next, ok := step(state.(opState), input.(opInput), output.(opOutput))
		return ok, next
	},
}

func step(s opState, in opInput, out opOutput) (opState, bool) {
	switch in.verb {
	case "get":
		return s, out.unknown || out.value == s.value
	case "set":
		return opState{value: in.value}, true
	case "add":
		return written(s, s.value == 0, in, out)
	case "swap":
		return written(s, s.value != 0 && s.value == in.expect, in, out)
	case "delete":
		return opState{}, out.unknown || out.done == (s.value != 0)
	case "cut":
		switch {
		case s.value != 0 && s.value == in.expect:
			return opState{}, out.unknown || out.done
		case s.value != 0:
			return s, out.unknown || out.refused
		}
		return s, out.unknown || !out.done && !out.refused
	case "lock":
		free := s.pid == 0
		switch {
		case out.unknown && free:
			return opState{value: math.MaxUint64, pid: in.pid, last: s.last}, true
		case out.unknown:
			return s, true
		case out.done:
			return opState{value: out.token, pid: in.pid, last: out.token}, free && out.token > s.last
		}
		return s, !free
	case "unlock":
		held := s.pid != 0 && s.value == in.token
		if held {
			return opState{last: s.last}, out.unknown || !out.refused
		}
		return s, out.unknown || out.refused
	case "death":
		if s.pid == in.pid {
			return opState{last: s.last}, true
		}
		return s, true
	}
	panic("faults: no model of " + in.verb)
}

// written is a write with a condition.
func written(s opState, met bool, in opInput, out opOutput) (opState, bool) {
	if met {
		return opState{value: in.value}, out.unknown || out.done
	}
	return s, out.unknown || out.refused
}

// client does random operations, on one connection after the other.
func (r *recorder) client(t testing.TB, random *rand.Rand, total int64) {
	for r.done.Load() < total {
		x, err := r.pool.accept()
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		r.mu.Lock()
		r.pids = append(r.pids, x.PID)
		r.mu.Unlock()
		c := clientState{r: r, x: x, random: random, seen: map[string]seen{}}
		for r.done.Add(1) <= total && c.step(t) {
		}
		r.mu.Lock()
		if i := slices.Index(r.pids, x.PID); i >= 0 {
			r.pids = slices.Delete(r.pids, i, i+1)
		}
		r.mu.Unlock()
		_ = x.conn.Close()
	}
}

// clientState is one connection of a client.
type clientState struct {
	r      *recorder
	x      *caller
	random *rand.Rand
	seen   map[string]seen
	token  *store.Token // of the lock that it holds
}

// seen is what a client knows of a key.
type seen struct{ version, value uint64 }

// step does one operation and says whether the connection is still there.
func (c *clientState) step(t testing.TB) bool {
	if c.random.IntN(5) == 0 {
		return c.lockStep(t)
	}
	key := fmt.Sprintf("key/%d", c.random.IntN(c.r.keys))
	known, ok := c.seen[key]
	in, call := opInput{key: key, pid: c.x.PID}, storeCall{Key: key}
	switch n := c.random.IntN(10); {
	case n < 4:
		in.verb, call.Verb = "get", "Get"
	case n < 6:
		in.verb, call.Verb = "set", "Set"
	case n < 7:
		in.verb, call.Verb, call.Write = "add", "Set", store.Write{If: store.IfAbsent}
	case n < 9 && ok:
		in.verb, call.Verb, call.Write = "swap", "Set", store.Write{If: store.IfVersion, Version: known.version}
		in.expect = known.value
	case n == 9 && ok:
		in.verb, call.Verb, call.Version = "cut", "Delete", known.version
		in.expect = known.value
	default:
		in.verb, call.Verb = "delete", "Delete"
	}
	if call.Verb == "Set" {
		in.value = c.r.lastValue.Add(1)
		call.Value = historyValue(key, in.value)
	}
	out, reply, alive := c.do(t, in, call)
	if !alive || out == nil {
		return alive
	}
	switch {
	case in.verb == "get" && out.done:
		var problem string
		if out.value, problem = historyNumber(key, reply.Entry.Value); problem != "" {
			t.Errorf("get %s: %s", key, problem)
		}
		c.know(t, key, reply.Entry.Version, out.value)
	case call.Verb == "Set" && !out.refused:
		out.done = true
		c.know(t, key, reply.Version, in.value)
	}
	c.r.record(in, *out)
	return true
}

// know remembers which value a version is; no version is two.
func (c *clientState) know(t testing.TB, key string, version, value uint64) {
	c.seen[key] = seen{version, value}
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	of := c.r.versions[key]
	if of == nil {
		of = map[uint64]uint64{}
		c.r.versions[key] = of
	}
	if was, ok := of[version]; ok && was != value || version == 0 {
		t.Errorf("version %d of %s is the value %d and the value %d", version, key, was, value)
	}
	of[version] = value
}

// lockStep takes a lock, or gives back the one that is held.
func (c *clientState) lockStep(t testing.TB) bool {
	in := opInput{verb: "lock", key: fmt.Sprintf("lock/%d", c.random.IntN(c.r.locks)), pid: c.x.PID}
	call := storeCall{Verb: "Lock", Key: in.key}
	if c.token != nil {
		in.verb, in.key, in.token = "unlock", c.token.Name, c.token.Number
		call = storeCall{Verb: "Unlock", Token: *c.token}
	}
	out, reply, alive := c.do(t, in, call)
	if !alive || out == nil {
		return alive
	}
	if in.verb == "unlock" {
		c.token = nil
	} else if out.token = reply.Token.Number; out.done {
		c.token = &reply.Token
	}
	c.r.record(in, *out)
	return true
}

// do makes a call. No output: it was not done, as somebody was in the way.
// Not alive: the process was killed, and the operation is recorded.
func (c *clientState) do(t testing.TB, in opInput, call storeCall) (*timedOutput, storeReply, bool) {
	from := c.r.now()
	reply, err := c.x.call(call)
	to := c.r.now()
	if err != nil {
		c.r.record(in, timedOutput{opOutput{unknown: true}, span{from, math.MaxInt64}})
		return nil, reply, false
	}
	out := &timedOutput{opOutput{done: reply.Found}, span{from, to}}
	switch {
	case reply.Error == "":
	case reply.is(store.ErrConflict) || reply.is(store.ErrFenced):
		out.refused = true
	case reply.is(store.ErrBusy):
		return nil, reply, true
	default:
		t.Errorf("%s %s: %s", in.verb, in.key, reply.Error)
		return nil, reply, true
	}
	return out, reply, true
}

type timedOutput struct {
	opOutput
	span
}

func (r *recorder) record(in opInput, out timedOutput) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if out.unknown {
		r.unknown++
	}
	r.ops = append(r.ops, porcupine.Operation{Input: in, Call: out.from, Output: out.opOutput, Return: out.to})
}

// kill kills a worker each so many operations, until the total.
func (r *recorder) kill(t testing.TB, total, every int64) int {
	random, kills := rand.New(rand.NewPCG(7, 7)), 0
	for next := every; next < total; next += every {
		Eventually(t, "operations go on", func() bool { return r.done.Load() >= next || t.Failed() },
			func() string { return r.pool.Err.String() })
		r.mu.Lock()
		pid := 0
		if len(r.pids) > 0 {
			pid = r.pids[random.IntN(len(r.pids))]
		}
		r.mu.Unlock()
		if pid == 0 {
			continue
		}
		from := r.now()
		if err := killAndWait(pid); err != nil {
			continue // it has gone already
		}
		r.mu.Lock()
		r.deaths[pid] = span{from, r.now()}
		r.mu.Unlock()
		kills++
	}
	return kills
}

// killAndWait kills a process of the pool and waits for its end: then the
// kernel has dropped its locks.
func killAndWait(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(Patience.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if n == 0 && err == nil {
			err = syscall.ETIMEDOUT
		}
		return err
	}
}

// addDeaths gives each lock that a killed process may have held the death of
// it, at some instant between the kill and the end of the process.
func (r *recorder) addDeaths() {
	type held struct {
		key string
		pid int
	}
	given := map[held]bool{}
	for _, op := range r.ops {
		in := op.Input.(opInput)
		if s, ok := r.deaths[in.pid]; ok && in.verb == "lock" && !given[held{in.key, in.pid}] {
			given[held{in.key, in.pid}] = true
			r.ops = append(r.ops, porcupine.Operation{
				Input: opInput{verb: "death", key: in.key, pid: in.pid}, Call: s.from, Output: opOutput{}, Return: s.to,
			})
		}
	}
}

// readAll reads every key after everything else.
func (r *recorder) readAll(t testing.TB, s store.Store) {
	for i := range r.keys {
		in := opInput{verb: "get", key: fmt.Sprintf("key/%d", i)}
		from := r.now()
		e, found, err := s.Get(background, in.key)
		if err != nil {
			t.Errorf("get %s: %v", in.key, err)
			continue
		}
		var n uint64
		if found {
			var problem string
			if n, problem = historyNumber(in.key, e.Value); problem != "" {
				t.Errorf("get %s: %s", in.key, problem)
			}
		}
		r.ops = append(r.ops, porcupine.Operation{Input: in, Call: from, Output: opOutput{value: n, done: found}, Return: r.now()})
	}
}

// culprits names the keys whose history is not linearizable.
func (r *recorder) culprits() []string {
	var names []string
	for _, part := range historyModel.Partition(r.ops) {
		if porcupine.CheckOperationsTimeout(historyModel, part, 10*time.Second) != porcupine.Ok {
			names = append(names, part[0].Input.(opInput).key)
		}
	}
	return names
}

// wantNoticed changes what one read saw: the check must notice.
func (r *recorder) wantNoticed(t testing.TB) {
	for i, op := range r.ops {
		if out := op.Output.(opOutput); op.Input.(opInput).verb == "get" && out.value != 0 && !out.unknown {
			wrong := slices.Clone(r.ops)
			out.value = r.lastValue.Load() + 1
			wrong[i].Output = out
			if porcupine.CheckOperationsTimeout(historyModel, wrong, time.Minute) != porcupine.Illegal {
				t.Error("a read of a value that nobody wrote is not noticed")
			}
			return
		}
	}
	t.Error("nothing was read")
}

// historyValue is a value that says its key and number, and of which every
// byte follows from those.
func historyValue(key string, n uint64) []byte {
	value := binary.LittleEndian.AppendUint64(nil, n)
	value = append(value, key...)
	seed := n*0x9e3779b97f4a7c15 + uint64(len(key))
	for range n % 64 {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		value = binary.LittleEndian.AppendUint64(value, seed)
	}
	return value
}

func historyNumber(key string, value []byte) (n uint64, problem string) {
	if len(value) < 8 {
		return 0, fmt.Sprintf("a value of %d bytes", len(value))
	}
	n = binary.LittleEndian.Uint64(value)
	if !bytes.Equal(value, historyValue(key, n)) {
		return n, fmt.Sprintf("torn, or another's: value %d", n)
	}
	return n, ""
}
