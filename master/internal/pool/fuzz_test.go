package pool_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"prefork/master/internal/pool"
)

// chance turns bytes into a scenario, line by line: what the fuzzer finds is a
// transcript already.
type chance struct {
	data   []byte
	world  *world
	script []string
}

func (c *chance) next(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return int(b) % n
}

func (c *chance) one(of ...string) string { return of[c.next(len(of))] }

func (c *chance) exec(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	c.script = append(c.script, line)
	if err := c.world.exec(line); err != nil {
		panic(err)
	}
}

func (c *chance) config() {
	c.exec("config workers=%d ready=%s settle=%s start=%s drain=%s delay=%s surge=%s parallel=%d",
		1+c.next(5), c.one("notify", "auto", "alive:1s", "alive:0s"), c.one("auto", "0s", "500ms"),
		c.one("30s", "2s", "0s"), c.one("5s", "30s", "0s", "100ms"), c.one("0s", "1s"),
		c.one("100%", "25%", "1"), 1+c.next(4))
}

// kind of workers: some work, some do not.
func (c *chance) workers() {
	c.exec("workers calm %s", c.one("ready=10ms", "golib hello=1ms ready=10ms", "", "busy=2s", "ready=200ms exit=1@300ms",
		"exit=0@5ms", "ready=5ms exit=125@1s", "exit=125@5ms", "ready=10ms stopping=50ms", "exec=never", "hello=2s ready=3s",
		"ready=10ms signal=11@2s", "ready=10ms signal=9@50ms", "blind"))
	c.exec("workers drain=%s", c.one("5ms", "never", "1s:1", "0s"))
	if c.next(8) == 0 {
		c.exec("workers extend=1h")
	}
}

// worker is one that lives, one that did, or one that never will have.
func (c *chance) worker() int {
	if list := c.world.pool.Workers(); len(list) > 0 && c.next(8) > 0 {
		return int(list[c.next(len(list))].ID)
	}
	return c.next(40)
}

// step is one thing that happens; legal or not.
func (c *chance) step() {
	switch c.next(28) {
	case 0, 1, 2, 3, 4:
		c.exec("run %s", c.one("0s", "1ms", "10ms", "90ms", "500ms", "1s", "3s", "10s", "40s"))
	case 5, 6, 7:
		c.exec("reload")
	case 8:
		c.exec("scale %s", c.one("+1", "-1", "1", "3", "6"))
	case 9:
		c.config()
	case 10, 11:
		c.workers()
	case 12:
		c.exec("load %s", c.one("good", "good changed", "good adds", "good removes", "good adds removes changed", "held", "app.toml:3: bad"))
	case 13:
		c.exec("spawn %s", c.one("good", "good", "cannot be started: no memory"))
	case 14:
		c.exec("door %s", c.one("empty", "queued", "handshakes", "unknown", "handshakes queued"))
	case 15:
		if c.world.loading {
			c.exec("load now")
		}
	case 16, 17:
		c.exec("w%d %s", c.worker(), c.one("ready", "hello", "golib", "stopping", "extend 20s", "executed", "cpu 5ms", "cpu 1h"))
	case 18, 19, 20:
		c.exec("w%d %s", c.worker(), c.one("exit 0", "exit 1", "exit 125", "signal 9", "signal 11", "signal 64"))
	case 21:
		if c.next(8) == 0 {
			c.exec("stop")
		}
	case 22:
		if c.next(32) == 0 {
			c.exec("quit")
		}
	case 23:
		c.illegal()
	case 24:
		c.exec("helper %d", 1+c.next(3))
		if c.next(8) == 0 {
			c.exec("drop %d", 1+c.next(3))
		}
	case 25:
		c.exec("ask %d", 1+c.next(3))
		c.exec("helpers calm %s", c.one("ready=5ms", "", "ready=5ms exit=0@1s", "ready=5ms exit=1@10ms", "ready=5ms signal=9@50ms", "ready=5ms drain=never"))
	case 26:
		c.exec("holds %d %d %d%s", c.process(), c.next(2), c.next(3), c.one("", " stopped"))
		c.exec("report")
	case 27:
		c.exec("h%d %s", c.process(), c.one("exit 0", "exit 1", "signal 9", "ready"))
	}
}

// process is a worker or the process of a helper.
func (c *chance) process() int {
	for _, h := range c.world.pool.Helpers() {
		if h.ID != 0 && c.next(2) == 0 {
			return int(h.ID)
		}
	}
	return c.worker()
}

// illegal are answers that nobody asked for.
func (c *chance) illegal() {
	w := c.world
	ev := []pool.Event{
		pool.Loaded{Config: w.config, Adds: true}, pool.LoadFailed{Reason: "nobody asked"}, pool.Tick{},
		pool.Probed{}, pool.Probed{Generation: 1 + c.next(5)}, pool.Probed{Generation: 99},
		pool.Measured{}, pool.SpawnFailed{ID: 999, Reason: "who"}, pool.Spawned{ID: 999, PID: 1},
		pool.Scale{By: -100}, pool.Exited{ID: 999},
	}[c.next(11)]
	if _, ok := ev.(pool.Loaded); ok && w.loading {
		return // it was asked for
	}
	if _, ok := ev.(pool.LoadFailed); ok && w.loading {
		return
	}
	c.script = append(c.script, fmt.Sprintf("# %T%+v", ev, ev))
	w.step(ev)
	w.run(w.now)
}

// scenario plays a whole life: a start, whatever happens, and a stop that
// must end.
func scenario(data []byte) (script []string, broken any) {
	c := &chance{data: data, world: newWorld()}
	defer func() {
		if broken = recover(); broken != nil {
			script = c.script
		}
	}()
	c.config()
	c.workers()
	if c.next(4) > 0 {
		c.exec("workers calm ready=10ms") // most have a start that works
	}
	if c.next(4) == 0 {
		c.exec("helper 3 always")
	}
	c.exec("begin")
	for len(c.data) > 0 && c.world.done == nil {
		c.step()
	}
	if c.world.pool.Phase() == pool.PhaseRunning {
		c.recovers()
	}
	if c.world.done != nil {
		return c.script, nil
	}
	c.exec("stop")
	c.exec("run 41200ms") // the longest delay and drain timeout, and that of a helper
	if c.world.done == nil {
		panic("the stop does not end: " + c.world.table())
	}
	return c.script, nil
}

// recovers: when all that was wrong is mended, the pool comes to rest with
// what is wanted, whatever was before; and a reload then commits.
func (c *chance) recovers() {
	w := c.world
	for _, line := range []string{"workers calm ready=10ms", "helpers calm ready=5ms", "holds nobody", "spawn good", "load good", "door empty"} {
		c.exec("%s", line)
	}
	if w.loading {
		c.exec("load now")
	}
	for _, p := range w.pool.Workers() {
		if p.State == pool.StateStarting { // it may be one that never gets ready, without a start timeout
			c.exec("w%d signal 9", p.ID)
		}
	}
	c.exec("run 10h") // batches, each with drains of 30 s that may be extended ten times
	if w.done != nil {
		return // every slot was empty for good
	}
	atRest := func() {
		ready, _, _ := w.pool.Counts()
		empty := w.pool.Empty()
		for _, e := range empty {
			if e.Until >= 0 {
				panic("a slot stays empty: " + w.table())
			}
		}
		if ready+len(empty) != w.pool.Wanted() || w.pool.Trial() != 0 || w.pool.Draining() != 0 || len(w.pool.Workers()) != ready {
			panic("the pool does not come to rest: " + w.table())
		}
	}
	atRest()
	before := w.pool.Generation()
	c.exec("reload")
	c.exec("run 10h")
	if w.pool.Generation() <= before || len(w.pool.Empty()) > 0 {
		panic("a good reload does not commit: " + w.table())
	}
	atRest()
}

func FuzzPool(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(noise(seed, 120))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 600 {
			data = data[:600]
		}
		if script, broken := scenario(data); broken != nil {
			t.Fatalf("%v\nthe transcript:\n%s", broken, strings.Join(script, "\n"))
		}
	})
}

func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

var lives = flag.Uint64("lives", 2000, "random lives to play")

// TestInvariantsHoldInRandomLives plays some thousand lives.
func TestInvariantsHoldInRandomLives(t *testing.T) {
	n := *lives
	if testing.Short() || raceEnabled {
		n = min(n, 300)
	}
	start := time.Now()
	for seed := range n {
		if script, broken := scenario(noise(seed, 40+int(seed%400))); broken != nil {
			t.Fatalf("seed %d: %v\nthe transcript:\n%s", seed, broken, strings.Join(script, "\n"))
		}
	}
	t.Logf("%d lives in %v", n, time.Since(start))
}
