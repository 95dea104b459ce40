package master

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prefork/master/control"
	"prefork/master/internal/pool"
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

// load reads and checks the next configuration and binds its sockets. Who
// asked until now gets this reload's verdict.
func (m *master) load(number int) pool.Event {
	m.reloading, m.waiting = append(m.reloading, m.waiting...), nil
	m.reloadAt = time.Now()
	m.up.reloading()
	next := m.cfg
	if m.opt.Load != nil {
		var err error
		if next, err = m.opt.Load(); err != nil {
			return pool.LoadFailed{Reason: oneLine(err)}
		}
	}
	if err := m.cfg.Unchangeable(next); err != nil {
		return pool.LoadFailed{Reason: oneLine(err)}
	}
	g, err := m.prepare(number, next)
	if err != nil {
		return pool.LoadFailed{Reason: oneLine(err)}
	}
	m.gens[number], m.trial = g, g
	m.log.Info("reloading", "gen", number, "workers", next.Workers)
	progress(m.reloading, fmt.Sprintf("generation %d is starting", number))
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
	if v.Generation == 0 { // one that never began
		callers, m.waiting = m.waiting, nil
	} else {
		m.reloading = nil
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
