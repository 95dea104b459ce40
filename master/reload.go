package master

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prefork/master/control"
	"prefork/master/internal/pool"
	"prefork/sockets"
)

// reload asks for one; c, when it is not nil, gets the verdict.
func (m *master) reload(c *call) {
	if c != nil {
		// Who has left needs no verdict: those that stay are bounded by
		// maxClients, those that come and go in a long reload by nothing.
		m.waiting = slices.DeleteFunc(m.waiting, func(c *call) bool { return c.gone.Load() })
		m.waiting = append(m.waiting, c)
	}
	m.step(pool.ReloadAsked{})
}

// wanted is a configuration with the answers to all that may be long in
// coming: users and groups are asked for on another machine where
// nsswitch.conf(5) says so. (Without cgo os/user reads two files; a build with
// it is a build like any other, and the config file may be slow by itself.)
type wanted struct {
	cfg   Config
	ids   identity
	addrs []sockets.Addr // owners of paths as numbers, so that no later step looks a name up
}

// look finds out what a configuration wants. It may block.
func look(cfg Config) (wanted, error) {
	id, key, err := lookIdentity(cfg.User, cfg.Group)
	if err != nil {
		return wanted{}, cfg.at(key, err)
	}
	w := wanted{cfg: cfg, ids: id, addrs: make([]sockets.Addr, 0, len(cfg.Listen))}
	for _, text := range cfg.Listen {
		a, err := sockets.Parse(text)
		if err == nil {
			err = numberOwners(&a)
		}
		if err != nil {
			return wanted{}, cfg.at("listen", err)
		}
		w.addrs = append(w.addrs, a)
	}
	return w, nil
}

// reading is how a reload's look at its configuration went.
type reading struct {
	number int
	next   wanted
	err    error
}

// load begins to read and check the next configuration, in a goroutine of its
// own: the loop waits for no file and no other machine. The core asks for one
// at a time, so that there is always room for the answer, whether or not
// anybody still wants it. Who asked until now gets this reload's verdict.
func (m *master) load(number int) {
	m.reloading, m.waiting = append(m.reloading, m.waiting...), nil
	m.reloadAt = time.Now()
	m.up.reloading()
	running, read, answer := m.cfg, m.opt.Load, m.readings
	go func() {
		r := reading{number: number}
		next := running
		if read != nil {
			next, r.err = read()
		}
		if r.err == nil {
			r.err = running.Unchangeable(next)
		}
		if r.err == nil {
			r.next, r.err = look(next)
		}
		answer <- r
	}()
}

// read takes a configuration that has been read, and binds its sockets.
func (m *master) read(r reading) pool.Event {
	if !m.pool.Loading() {
		return nil // a stop came first
	}
	if r.err != nil {
		return pool.LoadFailed{Reason: oneLine(r.err)}
	}
	g, err := m.prepare(r.number, r.next)
	if err != nil {
		return pool.LoadFailed{Reason: oneLine(err)}
	}
	next := g.cfg
	m.gens[r.number], m.trial = g, g
	m.log.Info("reloading", "gen", r.number, "workers", next.Workers)
	progress(m.reloading, fmt.Sprintf("generation %d is starting", r.number))
	return pool.Loaded{
		Config:         next.core(),
		WorkersChanged: next.WorkersText != m.cfg.WorkersText,
		Adds:           len(g.only(m.running)) > 0,
		Removes:        len(m.running.only(g)) > 0,
	}
}

// verdict tells all who wait for it, systemd first: `systemctl reload` must
// not return before the unit is active again.
func (m *master) verdict(v pool.Verdict) {
	callers := m.reloading
	m.reloading = nil
	if v.Generation == 0 { // one that never began, or had not read its configuration
		callers, m.waiting = append(callers, m.waiting...), nil
	} else {
		m.last = &control.Reload{
			Outcome: control.Committed, Generation: v.Generation, Reason: v.Reason,
			At: time.Now(), Took: time.Since(m.reloadAt).Seconds(),
		}
		m.lastFail = v.Reason
		if v.Reason != "" {
			m.last.Outcome = control.Failed
			if m.trial != nil {
				m.trial = nil
				m.reapply()
			}
		}
	}
	if v.Reason != "" {
		if v.Generation != 0 {
			m.log.Error("reload failed", "gen", v.Generation, "running", m.pool.Generation(), "reason", v.Reason)
			m.up.reloaded(m.message())
		}
		finishAll(callers, control.Answer{Error: "reload failed: " + v.Reason})
		return
	}
	m.log.Info("reloaded", "gen", v.Generation, "took", short(time.Since(m.reloadAt)))
	m.up.reloaded(m.message())
	finishAll(callers, control.Answer{OK: true, Result: fmt.Sprintf("generation %d is running", v.Generation)})
}

func (m *master) scaleBy(by int) {
	if m.pool.Phase() == pool.PhaseStopping {
		m.log.Info("scale refused", "reason", "stopping")
		return
	}
	if n := m.pool.Wanted() + by; n < 1 || n > MaxWorkers {
		m.log.Info("scale refused", "workers", n, "reason", fmt.Sprintf("want 1 to %d", MaxWorkers))
		return
	}
	m.step(pool.Scale{By: by})
	m.log.Info("scaled", "workers", m.pool.Wanted(), "config", m.pool.Configured())
}

// oneLine makes an error that joins several fit for a verdict.
func oneLine(err error) string {
	return clean(strings.ReplaceAll(err.Error(), "\n", "; "), 2000)
}
