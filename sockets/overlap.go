package sockets

import "net/netip"

// Overlaps says that a and b cannot be bound at the same time: the kernel
// answers EADDRINUSE for the second, as neither asks for SO_REUSEPORT. Host
// names are compared by their text, except localhost, since resolving them is
// left to Listen.
func (a Addr) Overlaps(b Addr) bool {
	switch {
	case a.Network == "" || b.Network == "":
		return a.Key() == b.Key()
	case a.Network != b.Network:
		return false
	case a.Network == NetworkUnix:
		return a.Abstract == b.Abstract && a.Path == b.Path
	case a.Port != b.Port || a.Port == "0":
		return false
	}
	x, y := a.reach(), b.reach()
	return x.any4 && y.takes4() || y.any4 && x.takes4() ||
		x.any6 && y.takes6() || y.any6 && x.takes6() ||
		x.isName() && y.isName() && a.Host == b.Host ||
		x.isLocalhost() && y.ip.IsLoopback() || y.isLocalhost() && x.ip.IsLoopback() ||
		x.ip.IsValid() && x.ip == y.ip
}

// A reach is the set of local addresses whose connections a listener gets:
// all of a family, one address, or what a name stands for.
type reach struct {
	any4, any6 bool
	ip         netip.Addr
	name       string
}

func (a Addr) reach() reach {
	if a.Host == "" {
		return reach{any4: !a.Options.V6Only, any6: true}
	}
	ip, err := netip.ParseAddr(a.Host)
	switch {
	case err != nil:
		return reach{name: a.Host}
	case ip == netip.IPv4Unspecified():
		return reach{any4: true}
	case ip == netip.IPv6Unspecified():
		return reach{any4: !a.Options.V6Only, any6: true}
	}
	return reach{ip: ip}
}

func (r reach) isName() bool      { return r.name != "" }
func (r reach) isLocalhost() bool { return r.name == "localhost" }
func (r reach) takes4() bool      { return r.any4 || r.isName() || r.ip.Is4() }
func (r reach) takes6() bool      { return r.any6 || r.isName() || r.ip.Is6() }
