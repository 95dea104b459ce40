package sockets

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Values of Options.KeepAlive that are not a time.
const (
	KeepAliveOn  time.Duration = -1 // on, with the times of net.ipv4.tcp_keepalive_*
	KeepAliveOff time.Duration = -2 // off, also on a socket that was passed with it
)

// Options of one listener. The zero value asks for nothing: the kernel's
// defaults, or what systemd has set on a socket that it passed.
type Options struct {
	Name        string        // in LISTEN_FDNAMES; "": systemd's name, else listen0, listen1...
	Backlog     int           // listen(2); 0: net.core.somaxconn, which also bounds it
	KeepAlive   time.Duration // idle time before the first probe, whole seconds; KeepAliveOn, KeepAliveOff; 0: not asked for
	DeferAccept time.Duration // TCP_DEFER_ACCEPT, whole seconds; 0: off
	FastOpen    int           // TCP_FASTOPEN, length of the queue; 0: off
	V6Only      bool          // IPV6_V6ONLY; false: [::] takes IPv4 too, whatever net.ipv6.bindv6only says
	FreeBind    bool          // IP_FREEBIND: an address that no interface has yet
	Blocking    bool          // clear O_NONBLOCK before each spawn
	Accept      Strategy      // of Go workers; "": that of --accept
	Mode        uint32        // permissions of a Unix socket's path; 0: what the umask leaves
	User, Group string        // owner of a Unix socket's path, name or number; "": ours
}

// A kind of address; an option says which ones it fits.
type kind int

const (
	kindIPv4 kind = 1 << iota
	kindIPv6      // takes IPv6, perhaps IPv4 too
	kindPath
	kindAbstract
	kindSystemd

	kindTCP  = kindIPv4 | kindIPv6
	kindUnix = kindPath | kindAbstract
)

var kindNames = map[kind]string{
	kindIPv4:     "an IPv4 address",
	kindIPv6:     "a TCP address",
	kindPath:     "a Unix path",
	kindAbstract: "an abstract Unix address",
	kindSystemd:  "a socket that systemd makes",
}

func (a *Addr) kind() kind {
	switch {
	case a.Systemd != "":
		return kindSystemd
	case a.Network == NetworkUnix && a.Abstract:
		return kindAbstract
	case a.Network == NetworkUnix:
		return kindPath
	}
	if ip, err := netip.ParseAddr(a.Host); err == nil && ip.Is4() {
		return kindIPv4
	}
	return kindIPv6
}

// An option is one key of the query.
type option struct {
	key  string
	fits kind
	want string // what a value looks like
	set  func(o *Options, value string) error
}

// optionTable has every option, in the order in which Addr.String writes them.
var optionTable = []option{
	{"name", kindTCP | kindUnix | kindSystemd, "printable ASCII without : & ?", func(o *Options, v string) error {
		o.Name = v
		if strings.ContainsAny(v, "&?") {
			return errValue
		}
		return checkName(v)
	}},
	{"backlog", kindTCP | kindUnix | kindSystemd, "1 to 2147483647", func(o *Options, v string) (err error) {
		o.Backlog, err = number(v, 1)
		return err
	}},
	{"keepalive", kindTCP | kindSystemd, "true, false, or 1s to 32767s in whole seconds", func(o *Options, v string) (err error) {
		switch v {
		case "", "true":
			o.KeepAlive = KeepAliveOn
		case "false":
			o.KeepAlive = KeepAliveOff
		default:
			o.KeepAlive, err = wholeSeconds(v, 32767*time.Second) // MAX_TCP_KEEPIDLE, include/net/tcp.h
		}
		return err
	}},
	{"defer-accept", kindTCP | kindSystemd, "1s to 600s in whole seconds", func(o *Options, v string) (err error) {
		o.DeferAccept, err = wholeSeconds(v, 600*time.Second)
		return err
	}},
	{"fast-open", kindTCP | kindSystemd, "the length of the queue, 0 to 2147483647", func(o *Options, v string) (err error) {
		o.FastOpen, err = number(v, 0)
		return err
	}},
	{"v6only", kindIPv6, "true or false", func(o *Options, v string) (err error) {
		o.V6Only, err = flag(v)
		return err
	}},
	{"freebind", kindTCP, "true or false", func(o *Options, v string) (err error) {
		o.FreeBind, err = flag(v)
		return err
	}},
	{"blocking", kindTCP | kindUnix | kindSystemd, "true or false", func(o *Options, v string) (err error) {
		o.Blocking, err = flag(v)
		return err
	}},
	{"accept", kindTCP | kindUnix | kindSystemd, strategyNames(), func(o *Options, v string) (err error) {
		if v == "" {
			return errValue
		}
		o.Accept, err = ParseStrategy(v)
		return err
	}},
	{"mode", kindPath, "permissions in octal, 0001 to 0777", func(o *Options, v string) error {
		n, err := strconv.ParseUint(v, 8, 32)
		if err == nil && (n == 0 || n > 0o777) {
			err = strconv.ErrRange
		}
		o.Mode = uint32(n)
		return err
	}},
	{"user", kindPath, "a user's name or number", func(o *Options, v string) error {
		o.User = v
		return owner(v)
	}},
	{"group", kindPath, "a group's name or number", func(o *Options, v string) error {
		o.Group = v
		return owner(v)
	}},
}

// parseOptions reads the query behind an address that is parsed.
func (a *Addr) parseOptions(query string) error {
	seen := make(map[string]bool)
	for _, pair := range strings.Split(query, "&") {
		key, value, given := strings.Cut(pair, "=")
		i := slices.IndexFunc(optionTable, func(o option) bool { return o.key == key })
		if i < 0 {
			return fmt.Errorf("option %q is not known: want %s", key, a.optionKeys())
		}
		o := optionTable[i]
		if o.fits&a.kind() == 0 {
			return fmt.Errorf("option %s does not fit %s: want %s", key, kindNames[a.kind()], a.optionKeys())
		}
		if seen[key] {
			return fmt.Errorf("option %s is given twice: want it once", key)
		}
		seen[key] = true
		if given && value == "" {
			return fmt.Errorf("option %s= has no value: want %s", key, o.want)
		}
		if err := o.set(&a.Options, value); err != nil {
			return fmt.Errorf("option %q: want %s", pair, o.want)
		}
	}
	return nil
}

// optionKeys lists the options that fit a.
func (a *Addr) optionKeys() string {
	var keys []string
	for _, o := range optionTable {
		if o.fits&a.kind() != 0 {
			keys = append(keys, o.key)
		}
	}
	return strings.Join(keys, ", ")
}

// errValue stands for any value that an option does not take; parseOptions
// says what it would take.
var errValue = errors.New("not a value of this option")

func number(v string, least int) (int, error) {
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil || int(n) < least {
		return 0, errValue
	}
	return int(n), nil
}

// flag reads a switch; the bare key, without a value, turns it on.
func flag(v string) (bool, error) {
	switch v {
	case "", "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errValue
}

func wholeSeconds(v string, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Second || d > most || d%time.Second != 0 {
		return 0, errValue
	}
	return d, nil
}

func strategyNames() string {
	names := make([]string, len(strategies))
	for i, s := range strategies {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// owner checks the form of a user or a group: what useradd(8) takes, with the
// characters that directory services add, or a number. 4294967295 is no id but
// "leave it as it is" in chown(2).
func owner(v string) error {
	if v == "" || len(v) > 255 || strings.ContainsAny(v[:1], "-+") || !isWord(v, "._-@\\$+") {
		return errValue
	}
	if n, err := strconv.ParseUint(v, 10, 32); isNumber(v) && (err != nil || n == math.MaxUint32) {
		return errValue
	}
	return nil
}
