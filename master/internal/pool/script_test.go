package pool_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"prefork/master/internal/pool"
)

// exec carries one line of a scenario out. The language:
//
//	config KEY=VALUE...   of the next begin and reloads: workers, ready (auto, notify, alive:DUR), settle, start,
//	                      drain, delay, surge (N or N%), parallel
//	load good|held|REASON what the next reloads find, `load now` answers a held one; changed, adds, removes with good
//	spawn good|REASON     whether processes can be started
//	workers KEY=VALUE...  how the workers that are spawned from now on behave: exec, hello, ready, stopping, busy
//	                      (durations from the spawn, or never), golib, blind, exit=CODE@DUR, signal=N@DUR,
//	                      drain=DUR[:CODE]|never, dies=SIGNAL, extend=DUR; `workers calm` begins anew
//	door empty|handshakes|queued|unknown...
//	begin, reload, scale N|+N|-N, stop, quit
//	wN ready|golib|hello|stopping|extend DUR|executed|exit CODE [DETAIL]|signal N|cpu DUR
//	helper N [always]     there is a helper, with a start and a drain timeout of 10 s; drop N, ask N
//	helpers KEY=VALUE...  how its processes behave, as workers; `helpers calm` begins anew
//	holds N LOCK TURN [stopped], holds nobody
//	                      what a look at a lock finds; `report` tells it to the pool
//	run DUR               lets time pass
//	repeat N LINE
//	name [N]              the worker that a table test is about: the next one, or wN
//	undying               KILL has no effect from now on
//	trace                 measurements and probes too
func (w *world) exec(line string) error {
	f := strings.Fields(line)
	if len(f) == 0 {
		return nil
	}
	rest := strings.TrimSpace(strings.TrimPrefix(line, f[0]))
	var err error
	switch f[0] {
	case "config":
		err = w.setConfig(f[1:])
	case "load":
		err = w.setLoad(f[1:], rest)
	case "spawn":
		w.spawns = rest
		if rest == "good" {
			w.spawns = ""
		}
	case "workers":
		err = w.setWorkers(&w.born, f[1:])
	case "helpers":
		err = w.setWorkers(&w.helpers, f[1:])
	case "helper", "drop", "ask", "holds", "report":
		err = w.helperLine(f)
	case "door":
		w.door = pool.Probed{}
		for _, x := range f[1:] {
			switch x {
			case "empty":
			case "handshakes":
				w.door.Handshakes = true
			case "queued":
				w.door.Queued = true
			case "unknown":
				w.door.Unknown = true
			default:
				return fmt.Errorf("door %s", x)
			}
		}
	case "begin":
		w.step(pool.Begin{Config: w.config})
		w.run(w.now)
	case "reload":
		w.step(pool.ReloadAsked{})
		w.run(w.now)
	case "scale":
		n, e := strconv.Atoi(rest)
		if err = e; err == nil {
			sc := pool.Scale{To: n}
			if strings.ContainsAny(rest, "+-") {
				sc = pool.Scale{By: n}
			}
			w.step(sc)
			w.run(w.now)
		}
	case "stop":
		w.step(pool.Stop{})
		w.run(w.now)
	case "quit":
		w.step(pool.Quit{})
		w.run(w.now)
	case "run":
		d, e := time.ParseDuration(rest)
		if err = e; err == nil {
			w.run(w.now + d)
		}
	case "repeat":
		n, e := strconv.Atoi(f[1])
		if err = e; err == nil {
			again := strings.TrimSpace(strings.TrimPrefix(rest, f[1]))
			for range n {
				if err := w.exec(again); err != nil {
					return err
				}
			}
		}
	case "name":
		w.named = w.latest + 1
		if rest != "" {
			n, e := strconv.Atoi(rest)
			err = e
			w.named = pool.ID(n)
		}
	case "undying":
		w.undying = true
	case "trace":
		w.trace = true
	default:
		if !strings.HasPrefix(f[0], "w") && !strings.HasPrefix(f[0], "h") {
			return fmt.Errorf("unknown line %q", line)
		}
		err = w.workerEvent(f, rest)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	return nil
}

func keyValue(s string) (key, value string) {
	key, value, _ = strings.Cut(s, "=")
	return key, value
}

// duration also takes "never" and "auto": -1.
func duration(s string) (time.Duration, error) {
	if s == "never" || s == "auto" {
		return -1, nil
	}
	return time.ParseDuration(s)
}

func (w *world) setConfig(list []string) error {
	for _, x := range list {
		key, value := keyValue(x)
		var err error
		switch key {
		case "workers":
			w.config.Workers, err = strconv.Atoi(value)
		case "ready":
			mode, alive, _ := strings.Cut(value, ":")
			w.config.Ready = map[string]pool.ReadyMode{"auto": pool.Auto, "notify": pool.Notify, "alive": pool.Alive}[mode]
			if mode == "alive" {
				w.config.Alive, err = time.ParseDuration(alive)
			}
		case "settle":
			w.config.Settle, err = duration(value)
		case "start":
			w.config.StartTimeout, err = duration(value)
		case "drain":
			w.config.DrainTimeout, err = duration(value)
		case "delay":
			w.config.DrainDelay, err = duration(value)
		case "parallel":
			w.config.StartParallel, err = strconv.Atoi(value)
		case "surge":
			var n int
			n, err = strconv.Atoi(strings.TrimSuffix(value, "%"))
			w.config.Surge = func(int) int { return n }
			if strings.HasSuffix(value, "%") {
				w.config.Surge = func(workers int) int { return max(1, (workers*n+99)/100) }
			}
		default:
			err = fmt.Errorf("key %s", key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) setLoad(list []string, rest string) error {
	switch list[0] {
	case "now":
		if !w.loading {
			return fmt.Errorf("no load is held")
		}
		w.loading = false
		w.step(w.loaded())
		w.run(w.now)
		return nil
	case "held":
		w.loads = "held"
		return nil
	case "good":
		w.loads, w.flags = "", pool.Loaded{}
		for _, x := range list[1:] {
			switch x {
			case "changed":
				w.flags.WorkersChanged = true
			case "adds":
				w.flags.Adds = true
			case "removes":
				w.flags.Removes = true
			default:
				return fmt.Errorf("flag %s", x)
			}
		}
		return nil
	}
	w.loads = rest
	return nil
}

// helperLine carries out a line about helpers or about locks of the store.
func (w *world) helperLine(f []string) error {
	var n [3]int
	for i := range n {
		if len(f) > i+1 && f[1] != "nobody" && i < len(f)-1 {
			if v, err := strconv.Atoi(f[i+1]); err == nil {
				n[i] = v
			}
		}
	}
	switch f[0] {
	case "helper":
		w.step(pool.HelperAdded{Helper: n[0], Config: pool.HelperConfig{
			Always: f[len(f)-1] == "always", StartTimeout: 10 * time.Second, DrainTimeout: 10 * time.Second,
		}})
	case "drop":
		w.step(pool.HelperDropped{Helper: n[0]})
	case "ask":
		w.step(pool.HelperAsked{Helper: n[0]})
	case "holds":
		w.holder = pool.Holding{ID: pool.ID(n[0]), Shard: n[1], Turn: uint64(n[2]), Stopped: f[len(f)-1] == "stopped"}
		return nil
	case "report":
		w.step(w.holder)
	}
	w.run(w.now)
	return nil
}

func (w *world) setWorkers(b *behaviour, list []string) error {
	for _, x := range list {
		key, value := keyValue(x)
		var err error
		switch key {
		case "calm":
			*b = calm
		case "golib":
			b.goLib = true
		case "exec":
			b.exec, err = duration(value)
		case "blind":
			b.blind = true
		case "hello":
			b.hello, err = duration(value)
		case "ready":
			b.ready, err = duration(value)
		case "stopping":
			b.stopping, err = duration(value)
		case "busy":
			b.busy, err = duration(value)
		case "exit", "signal":
			n, at, _ := strings.Cut(value, "@")
			if b.exit, err = duration(at); err == nil {
				b.code, b.signal = 0, 0
				into := &b.code
				if key == "signal" {
					into = &b.signal
				}
				*into, err = strconv.Atoi(n)
			}
		case "drain":
			d, code, coded := strings.Cut(value, ":")
			if b.drain, err = duration(d); err == nil && coded {
				b.drained, err = strconv.Atoi(code)
			}
		case "dies":
			b.dies, err = strconv.Atoi(value)
		case "extend":
			b.extend, err = duration(value)
		default:
			err = fmt.Errorf("key %s", key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// workerEvent is what a scenario makes happen by name, of whatever worker, be
// it legal or not.
func (w *world) workerEvent(f []string, rest string) error {
	n, err := strconv.Atoi(f[0][1:])
	if err != nil || len(f) < 2 {
		return fmt.Errorf("want wN WHAT")
	}
	id := pool.ID(n)
	number := func() int {
		if len(f) > 2 {
			n, e := strconv.Atoi(f[2])
			err = e
			return n
		}
		return 0
	}
	var ev pool.Event
	switch f[1] {
	case "ready":
		ev = pool.Notified{ID: id, Ready: true}
	case "golib":
		ev = pool.Notified{ID: id, GoLibrary: true}
	case "hello":
		ev = pool.Notified{ID: id}
	case "stopping":
		ev = pool.Notified{ID: id, Stopping: true}
	case "extend":
		d, e := time.ParseDuration(f[2])
		err = e
		ev = pool.Notified{ID: id, Extend: d}
	case "executed":
		ev = pool.Executed{ID: id}
	case "exit":
		_, detail, _ := strings.Cut(rest, f[1]+" ")
		_, detail, _ = strings.Cut(detail, " ")
		ev = pool.Exited{ID: id, Code: number(), Detail: detail}
	case "signal":
		ev = pool.Exited{ID: id, Signal: number()}
	case "fails":
		ev = pool.SpawnFailed{ID: id, Reason: "not there"}
	case "pid":
		ev = pool.Spawned{ID: id, PID: number()}
	case "cpu":
		d, e := time.ParseDuration(f[2])
		err = e
		ev = pool.Measured{CPU: map[pool.ID]time.Duration{id: d}}
	default:
		err = fmt.Errorf("what is %s", f[1])
	}
	if err != nil {
		return err
	}
	switch ev.(type) {
	case pool.Exited, pool.SpawnFailed:
		if p := w.procs[id]; p != nil {
			p.dead = true
			delete(w.procs, id)
		}
	}
	w.step(ev)
	w.run(w.now)
	return nil
}
