package sockets

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// Networks of an Addr.
const (
	NetworkTCP  = "tcp"
	NetworkUnix = "unix"
)

// An Addr is one address to listen on, with its options. The zero value is
// not an address.
type Addr struct {
	Network  string // NetworkTCP or NetworkUnix; "" for a systemd socket that is not looked up yet
	Host     string // TCP: an IP address in canonical form, a host name in lower case, or "" for all addresses
	Port     string // TCP: "0" to "65535", no leading zero
	Path     string // Unix: absolute and clean; for an abstract address its name, without the "@"
	Abstract bool   // Unix: the name is in the abstract namespace of unix(7)
	Systemd  string // systemd:NAME, the name of FileDescriptorName=
	Options  Options
	Text     string // as given to Parse
}

// Key is the identity of an address over a reload: where it listens, without
// its options. Two addresses with the same key can share one socket.
func (a Addr) Key() string {
	switch {
	case a.Systemd != "":
		return "systemd:" + a.Systemd
	case a.Network == NetworkUnix && a.Abstract:
		return "unix:@" + a.Path
	case a.Network == NetworkUnix:
		return "unix:" + a.Path
	default:
		return "tcp://" + net.JoinHostPort(a.Host, a.Port)
	}
}

// Bound is the address that clients connect to, without options. It differs
// from Key for what systemd passed, where Key is the name.
func (a Addr) Bound() string {
	switch {
	case a.Network == "":
		return a.Key()
	case a.Network == NetworkTCP:
		return net.JoinHostPort(a.Host, a.Port)
	default:
		a.Systemd = ""
		return a.Key()
	}
}

// String is the canonical text: Parse of it gives the same address, and equal
// addresses have equal texts.
func (a Addr) String() string {
	text := a.Key()
	// Hosts of these names need the scheme, else they read as another one.
	if a.Systemd == "" && a.Network == NetworkTCP && a.Host != "unix" && a.Host != "systemd" {
		text = strings.TrimPrefix(text, "tcp://")
	}
	if q := a.Options.query(); q != "" {
		text += "?" + q
	}
	return text
}

// query is the options as text, in the order of optionTable.
func (o Options) query() string {
	var b strings.Builder
	add := func(key, value string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(key)
		if value != "" {
			b.WriteString("=" + value)
		}
	}
	text := func(key, value string) {
		if value != "" {
			add(key, value)
		}
	}
	flag := func(key string, on bool) {
		if on {
			add(key, "")
		}
	}
	number := func(key string, n int) {
		if n != 0 {
			add(key, strconv.Itoa(n))
		}
	}
	text("name", o.Name)
	number("backlog", o.Backlog)
	switch o.KeepAlive {
	case 0:
	case KeepAliveOn:
		add("keepalive", "")
	case KeepAliveOff:
		add("keepalive", "false")
	default:
		add("keepalive", seconds(o.KeepAlive))
	}
	if o.DeferAccept != 0 {
		add("defer-accept", seconds(o.DeferAccept))
	}
	number("fast-open", o.FastOpen)
	flag("v6only", o.V6Only)
	flag("freebind", o.FreeBind)
	flag("blocking", o.Blocking)
	text("accept", string(o.Accept))
	if o.Mode != 0 {
		add("mode", "0"+strconv.FormatUint(uint64(o.Mode), 8))
	}
	text("user", o.User)
	text("group", o.Group)
	return b.String()
}

// seconds is a duration of whole seconds as text.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}
