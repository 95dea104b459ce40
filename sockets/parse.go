package sockets

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"
)

// maxPath is the longest path of a Unix socket: sun_path has 108 bytes, the
// last of which is a NUL (unix(7)). An abstract name counts with its "@": the
// kernel takes one byte more, but x/sys/unix, and many a client, do not.
const maxPath = 107

// maxName is the longest name of a socket: FDNAME= in sd_notify(3).
const maxName = 255

const forms = "host:port, :port, [v6]:port, unix:/path, unix:@name or systemd:NAME"

// Parse reads the text of an address: host:port, :port, tcp://host:port,
// unix:/path, unix:@name or systemd:NAME, each with options as a query
// (?name=web&backlog=4096&blocking). Nothing in it is percent-decoded, so a
// path cannot hold a "?". It looks at the text alone: names are resolved and
// users looked up by Listen.
func Parse(text string) (Addr, error) {
	a, err := parse(text)
	if err != nil {
		return Addr{}, fmt.Errorf("address %q: %w", text, err)
	}
	return a, nil
}

func parse(text string) (Addr, error) {
	if text == "" {
		return Addr{}, errors.New("it is empty: want " + forms)
	}
	a := Addr{Text: text}
	body, query, asks := strings.Cut(text, "?")
	var err error
	switch {
	case strings.HasPrefix(body, "unix:"):
		err = a.parseUnix(strings.TrimPrefix(body, "unix:"))
	case strings.HasPrefix(body, "systemd:"):
		err = a.parseSystemd(strings.TrimPrefix(body, "systemd:"))
	default:
		err = a.parseTCP(strings.TrimPrefix(body, "tcp://"))
	}
	if err != nil {
		return Addr{}, err
	}
	if asks {
		if err := a.parseOptions(query); err != nil {
			return Addr{}, err
		}
	}
	return a, nil
}

func (a *Addr) parseSystemd(name string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("systemd name %w", err)
	}
	a.Systemd = name
	return nil
}

// parseUnix reads what follows "unix:", with or without two more slashes.
func (a *Addr) parseUnix(p string) error {
	a.Network = NetworkUnix
	if strings.HasPrefix(p, "///") {
		p = p[2:]
	}
	if strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("path has a control character in it")
	}
	if name, ok := strings.CutPrefix(p, "@"); ok {
		if name == "" {
			return errors.New("abstract name is empty: want unix:@name")
		}
		if len(p) > maxPath {
			return fmt.Errorf("abstract name of %d bytes (max %d)", len(name), maxPath-1)
		}
		a.Path, a.Abstract = name, true
		return nil
	}
	if !strings.HasPrefix(p, "/") {
		return fmt.Errorf("path %q is not absolute: want unix:/path or unix:@name", p)
	}
	if strings.HasSuffix(p, "/") {
		return fmt.Errorf("path %q is a folder: want the name of a socket in it", p)
	}
	for _, part := range strings.Split(p, "/") {
		if part == ".." {
			return fmt.Errorf("path %q has .. in it: want it spelled out", p)
		}
	}
	a.Path = path.Clean(p)
	if a.Path == "/" {
		return fmt.Errorf("path %q is a folder: want the name of a socket in it", p)
	}
	if len(a.Path) > maxPath {
		return fmt.Errorf("path of %d bytes (max %d)", len(a.Path), maxPath)
	}
	return nil
}

func (a *Addr) parseTCP(hostport string) error {
	a.Network = NetworkTCP
	if scheme, _, ok := strings.Cut(hostport, "://"); ok {
		return fmt.Errorf("scheme %q is not known: want %s", scheme, forms)
	}
	if _, err := netip.ParseAddr(hostport); err == nil && strings.Contains(hostport, ":") {
		return fmt.Errorf("an IPv6 address goes in brackets, and a port behind it: want [%s]:port", hostport)
	}
	if isNumber(hostport) {
		return fmt.Errorf("port without a colon: want :%s", hostport)
	}
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		var split *net.AddrError
		if errors.As(err, &split) {
			return fmt.Errorf("%s: want %s", split.Err, forms)
		}
		return err
	}
	if a.Host, err = canonicalHost(host, strings.HasPrefix(hostport, "[")); err != nil {
		return err
	}
	if !isNumber(port) {
		return fmt.Errorf("port %q: want a number from 0 to 65535", port)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("port %s: want 0 to 65535", port)
	}
	a.Port = strconv.FormatUint(n, 10)
	return nil
}

// isNumber says that s has digits alone; strconv would take a sign or "_".
func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// canonicalHost checks a host and returns the one spelling of it.
func canonicalHost(host string, brackets bool) (string, error) {
	if host == "" {
		if brackets {
			return "", errors.New("nothing between the brackets: want [::]:port, or :port for all addresses")
		}
		return "", nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if brackets && ip.Is4() {
			return "", fmt.Errorf("host %q: brackets are for IPv6", host)
		}
		if ip.Is4In6() && ip.Zone() != "" || !isWord(ip.Zone(), "._-") {
			return "", fmt.Errorf("host %q: the zone is not the name of an interface", host)
		}
		return ip.Unmap().String(), nil
	}
	if brackets {
		return "", fmt.Errorf("host %q: want an IPv6 address between brackets", host)
	}
	if host == "*" {
		return "", errors.New("host \"*\": want :port for all addresses")
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if len(host) > 253 || !isWord(host, "._-") || isNumber(last) || strings.Contains("."+host+".", "..") {
		return "", fmt.Errorf("host %q: want an IP address or a host name", host)
	}
	return strings.ToLower(host), nil
}

// isWord says that s has only ASCII letters, digits and the bytes of extra.
func isWord(s, extra string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(extra, c) >= 0) {
			return false
		}
	}
	return true
}

// checkName holds the rule for LISTEN_FDNAMES: printable ASCII without ":",
// which joins the names (sd_listen_fds(3), FileDescriptorName= in
// systemd.socket(5)).
func checkName(name string) error {
	if name == "" {
		return errors.New("is empty")
	}
	if len(name) > maxName {
		return fmt.Errorf("of %d bytes (max %d)", len(name), maxName)
	}
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || c == ':' {
			return fmt.Errorf("%q has %q in it: want printable ASCII without \":\"", name, c)
		}
	}
	return nil
}
