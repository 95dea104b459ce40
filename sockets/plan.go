package sockets

import (
	"fmt"
	"slices"
	"strings"
)

// Changes leads from the open listeners to the wanted ones.
type Changes struct {
	Set    []Place   // every listener wanted, in the order of LISTEN_FDS
	Remove []*Socket // open, and no longer wanted
}

// A Place is one descriptor of LISTEN_FDS.
type Place struct {
	Name string  // for LISTEN_FDNAMES; never empty
	Addr Addr    // as wanted
	Open *Socket // stays, with Addr.Options to be applied (and OpenDoor, had it been closed); nil: to be bound
}

// Plan compares the open listeners, bound or passed, with the wanted
// addresses. It serves the start, where open is what Passed returned, as well
// as a reload. Without any wanted address the passed sockets stay, each in its
// place.
//
// Errors: an address that is wanted twice or overlaps another wanted one; a
// systemd name that nothing passed carries; wrapping ErrNotNamed, a passed
// socket that no wanted address names; and, wrapping ErrNeedsRestart, an
// address that overlaps a socket still open, or a change of v6only or freebind,
// which only bind(2) takes. The caller changes nothing before it has bound all
// that is new.
func Plan(open []*Socket, want []Addr) (Changes, error) {
	var c Changes
	taken := make(map[*Socket]bool)
	if len(want) == 0 {
		for _, s := range open {
			if s.Adopted {
				taken[s] = true
				c.Set = append(c.Set, Place{Addr: s.Asked, Open: s})
			}
		}
	}
	for i, a := range want {
		if err := clash(a, want[:i]); err != nil {
			return Changes{}, err
		}
		if a.Systemd != "" {
			chosen := named(open, a.Systemd)
			if len(chosen) == 0 {
				return Changes{}, fmt.Errorf("listen %s: %s", a.Key(), noSuchName(open))
			}
			for _, s := range chosen {
				if err := fits(a, s); err != nil {
					return Changes{}, err
				}
				taken[s] = true
				c.Set = append(c.Set, Place{Addr: a, Open: s})
			}
			continue
		}
		s := match(open, a, taken)
		if s != nil {
			if err := sameAtBind(a, s); err != nil {
				return Changes{}, err
			}
			taken[s] = true
		}
		c.Set = append(c.Set, Place{Addr: a, Open: s})
	}
	for _, s := range open {
		if taken[s] {
			continue
		}
		if s.Adopted {
			return Changes{}, fmt.Errorf("socket %s, passed by systemd %s, %w: want %s",
				s.Addr.Bound(), quotedName(s), ErrNotNamed, suggestion(s))
		}
		c.Remove = append(c.Remove, s)
	}
	for i := range c.Set {
		if c.Set[i].Open == nil {
			if err := inTheWay(c.Set[i].Addr, open); err != nil {
				return Changes{}, err
			}
		}
		c.Set[i].Name = placeName(c.Set[i], i)
	}
	return c, nil
}

// placeName is ?name=, else systemd's name, else listenN.
func placeName(p Place, i int) string {
	switch {
	case p.Addr.Options.Name != "":
		return p.Addr.Options.Name
	case p.Open != nil && p.Open.Adopted && p.Open.Asked.Systemd != "":
		return p.Open.Asked.Systemd
	}
	return fmt.Sprintf("listen%d", i)
}

// clash finds two wanted addresses that cannot be bound together.
func clash(a Addr, before []Addr) error {
	for _, b := range before {
		if a.Key() == b.Key() && a.Port != "0" {
			return fmt.Errorf("listen %s: it is given twice", a.Key())
		}
		if a.Overlaps(b) {
			return fmt.Errorf("listen %s: it overlaps %s", a, b)
		}
	}
	return nil
}

// inTheWay finds the open socket that makes bind(2) of a fail. Removed ones
// count: they close only after the new generation is ready.
func inTheWay(a Addr, open []*Socket) error {
	for _, s := range open {
		if s.FD < 0 || !s.usable() && s.bindsPath() || !a.Overlaps(s.Addr) {
			continue
		}
		if s.Adopted {
			return fmt.Errorf("listen %s: systemd has passed %s: want %s", a, s.Addr.Bound(), suggestion(s))
		}
		return fmt.Errorf("listen %s: it overlaps %s, which is still open: %w", a, s.Addr.Bound(), ErrNeedsRestart)
	}
	return nil
}

// match finds the open socket that a can keep: the one that was asked for by
// the same text, else the one that has its very address, as with port 0 that
// is now written out.
func match(open []*Socket, a Addr, taken map[*Socket]bool) *Socket {
	free := func(s *Socket) bool { return !s.Adopted && !taken[s] && s.usable() }
	for _, s := range open {
		if free(s) && s.Asked.Key() == a.Key() {
			return s
		}
	}
	for _, s := range open {
		if free(s) && s.Addr.Key() == a.Key() {
			return s
		}
	}
	return nil
}

// sameAtBind refuses what cannot be changed on a bound socket.
func sameAtBind(a Addr, s *Socket) error {
	for _, o := range []struct {
		key       string
		now, then bool
	}{
		{"v6only", a.Options.V6Only, s.Asked.Options.V6Only},
		{"freebind", a.Options.FreeBind, s.Asked.Options.FreeBind},
	} {
		if o.now != o.then {
			return fmt.Errorf("listen %s: option %s changed from %t to %t: %w", a.Key(), o.key, o.then, o.now, ErrNeedsRestart)
		}
	}
	return nil
}

// fits checks TCP options against the network of a passed socket, which Parse
// does not know.
func fits(a Addr, s *Socket) error {
	o := a.Options
	if s.Addr.Network == NetworkTCP || o.KeepAlive == 0 && o.DeferAccept == 0 && o.FastOpen == 0 {
		return nil
	}
	return fmt.Errorf("listen %s: keepalive, defer-accept and fast-open do not fit %s, which systemd has passed", a, s.Addr.Bound())
}

// named are the passed sockets that carry a name, in the order of LISTEN_FDS.
func named(open []*Socket, name string) []*Socket {
	var chosen []*Socket
	for _, s := range open {
		if s.Adopted && s.Asked.Systemd == name {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

func noSuchName(open []*Socket) string {
	var names []string
	for _, s := range open {
		if s.Adopted {
			names = append(names, fmt.Sprintf("%q", s.Asked.Systemd))
		}
	}
	if len(names) == 0 {
		return "systemd has passed no socket"
	}
	slices.Sort(names)
	return "systemd has passed no socket of this name: want one of " + strings.Join(slices.Compact(names), ", ")
}

func quotedName(s *Socket) string {
	if s.Asked.Systemd == "" {
		return "without a name"
	}
	return fmt.Sprintf("as %q", s.Asked.Systemd)
}

func suggestion(s *Socket) string {
	if s.Asked.Systemd == "" {
		return "FileDescriptorName= in its unit, and systemd:NAME here"
	}
	return s.Asked.Key()
}
