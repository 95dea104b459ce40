package master

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"prefork/ipc"
	"prefork/master/internal/pool"
	"prefork/sockets"
)

// generation is one configuration with its sockets, ready to be spawned from.
type generation struct {
	number int
	cfg    Config
	places []sockets.Place // Open is set in each
	ids    identity
	base   []string // the environment that all its workers share
	front  *front   // the way to the store for programs that are not Go workers; nil: none
}

// core gives the part of a configuration that decisions need.
func (c *Config) core() pool.Config {
	settle := pool.SettleAuto
	if c.Settle != nil {
		settle = *c.Settle
	}
	return pool.Config{
		Workers: c.Workers, Ready: pool.ReadyMode(c.Ready.Mode), Alive: c.Ready.Alive, Settle: settle,
		StartTimeout: c.StartTimeout, DrainTimeout: c.DrainTimeout, DrainDelay: c.DrainDelay,
		Surge: c.Surge.Of, StartParallel: c.StartParallel,
	}
}

// prepare makes a generation: new sockets bound, options of the kept ones set
// anew. An error undoes all of it.
func (m *master) prepare(number int, w wanted) (*generation, error) {
	want, cfg := w.addrs, w.cfg
	if len(want) == 0 && !slices.ContainsFunc(m.sockets, func(s *sockets.Socket) bool { return s.Adopted }) {
		a, err := sockets.Parse(DefaultListen)
		if err != nil {
			return nil, err
		}
		want = append(want, a)
	}
	plan, err := sockets.Plan(m.sockets, want)
	if err != nil {
		return nil, cfg.at("listen", err)
	}
	front, err := m.frontFor(w.ids, cfg)
	if err != nil {
		return nil, err
	}
	if err := m.bind(plan.Set); err != nil {
		m.dropFronts()
		return nil, cfg.at("listen", err)
	}
	g := &generation{number: number, cfg: cfg, places: plan.Set, ids: w.ids, front: front}
	g.base = g.environment(m.env)
	return g, nil
}

// keyError is an error about one key of a configuration.
type keyError struct {
	key   string
	where string // "" where it has its default
	err   error
}

func (e *keyError) Unwrap() error { return e.err }

func (e *keyError) Error() string {
	if e.where == "" {
		return e.err.Error()
	}
	return e.where + ": " + e.key + ": " + e.err.Error()
}

func (c *Config) at(key string, err error) error {
	return &keyError{key, c.Where[key], err}
}

// bind opens what is not open yet, and only then touches what is.
func (m *master) bind(places []sockets.Place) error {
	var opened []*sockets.Socket
	undo := func() {
		for _, s := range opened {
			_ = s.Close()
		}
	}
	for i := range places {
		if places[i].Open != nil {
			continue
		}
		s, err := m.listen(places[i].Addr)
		if err != nil {
			undo()
			return err
		}
		opened = append(opened, s)
		places[i].Open = s
	}
	for i := range places {
		s := places[i].Open
		if slices.Contains(opened, s) {
			continue
		}
		if err := s.Apply(places[i].Addr.Options); err != nil {
			undo()
			m.reapply()
			return err
		}
		if err := s.OpenDoor(); err != nil {
			undo()
			m.reapply()
			return err
		}
	}
	m.sockets = append(m.sockets, opened...)
	return nil
}

// reapply sets the running generation's options again.
func (m *master) reapply() {
	if m.running == nil {
		return
	}
	for _, p := range m.running.places {
		if err := p.Open.Apply(p.Addr.Options); err != nil {
			m.log.Warn("cannot set the options of a listener back", "address", p.Addr.String(), "error", err)
		}
	}
}

func (g *generation) has(s *sockets.Socket) bool {
	return slices.ContainsFunc(g.places, func(p sockets.Place) bool { return p.Open == s })
}

// only lists the sockets that g has and other has not.
func (g *generation) only(other *generation) []*sockets.Socket {
	var list []*sockets.Socket
	for _, p := range g.places {
		if other == nil || !other.has(p.Open) {
			list = append(list, p.Open)
		}
	}
	return list
}

// environment is what all workers of g inherit: the master's own, less what
// belongs to the master alone, and the part of the contract that does not
// depend on the worker.
func (g *generation) environment(inherited []string) []string {
	// An entry that the config gives is left out here: of two with one name
	// getenv(3) takes the first.
	env := slices.DeleteFunc(slices.Clone(inherited), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.ContainsFunc(g.cfg.Env, func(v EnvVar) bool { return v.Key == name })
	})
	names := make([]string, len(g.places))
	accept := make([]string, len(g.places))
	for i, p := range g.places {
		names[i] = p.Name
		accept[i] = string(p.Addr.Options.Accept)
		if accept[i] == "" {
			accept[i] = g.cfg.Accept
		}
	}
	if g.front != nil {
		env = append(env, ipc.EnvStore+"="+g.front.url())
	} else if g.cfg.Store.Kind == StoreBackend {
		env = append(env, ipc.EnvStore+"="+g.cfg.Store.URL)
	}
	return append(env,
		ipc.EnvListenFDs+"="+strconv.Itoa(len(g.places)),
		ipc.EnvListenFDNames+"="+strings.Join(names, ":"),
		ipc.EnvGeneration+"="+strconv.Itoa(g.number),
		ipc.EnvStopSignal+"="+unix.SignalName(g.cfg.StopSignal),
		ipc.EnvDrainTimeout+"="+ipc.FormatSeconds(g.cfg.DrainTimeout),
		ipc.EnvLinger+"="+ipc.FormatSeconds(g.cfg.Linger),
		ipc.EnvAccept+"="+strings.Join(accept, ","),
		ipc.EnvMaxConns+"="+strconv.Itoa(g.cfg.MaxConns),
	)
}

// ownVariables are the master's own and not for its workers: DESIGN 5.
func ownVariable(entry string) bool {
	for _, prefix := range []string{"LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "LISTEN_PIDFDID=", "NOTIFY_SOCKET=", "WATCHDOG_", "PREFORK_"} {
		if strings.HasPrefix(entry, prefix) {
			return true
		}
	}
	return false
}
