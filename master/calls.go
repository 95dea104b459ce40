package master

import (
	"fmt"

	"prefork/master/control"
	"prefork/master/internal/pool"
)

// answer carries out a request of the control socket. Each gets a definite
// answer, now or with the verdict that it waits for.
func (m *master) answer(c *call) {
	stopping := m.pool.Phase() == pool.PhaseStopping
	switch c.req.Command {
	case control.CmdStatus:
		c.finish(control.Answer{OK: true, Status: m.statusNow(c.req.Serving)})
	case control.CmdVersion:
		c.finish(control.Answer{OK: true, Result: m.opt.Version})
	case control.CmdReload:
		m.log.Info("reload asked", "by", "control socket")
		m.reload(c)
	case control.CmdScale:
		switch {
		case stopping:
			c.finish(control.Answer{Error: "stopping"})
		case c.req.Workers < 1 || c.req.Workers > MaxWorkers:
			c.finish(control.Answer{Error: fmt.Sprintf("scale to %d workers: want 1 to %d", c.req.Workers, MaxWorkers)})
		default:
			m.step(pool.Scale{To: c.req.Workers})
			m.log.Info("scaled", "workers", m.pool.Wanted(), "config", m.pool.Configured())
			c.finish(control.Answer{OK: true, Result: fmt.Sprintf("%d workers wanted (config %d)", m.pool.Wanted(), m.pool.Configured())})
		}
	case control.CmdStop:
		m.log.Info("stop asked", "by", "control socket")
		c.finish(control.Answer{OK: true, Result: "stopping"})
		m.step(pool.Stop{})
	default:
		c.finish(control.Answer{Error: fmt.Sprintf("unknown command %q: want status, reload, scale, stop or version", clean(c.req.Command, 64))})
	}
}
