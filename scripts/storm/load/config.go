package load

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Config says what to send where. The zero value of each field but Target
// means what its comment says.
type Config struct {
	Target string // "127.0.0.1:8080", "[::1]:80", "tcp://...", "unix:/path", "unix:@name"
	Path   string // "" means "/"
	Host   string // "" means "localhost"

	Fresh int // clients with a connection per request; with Kept also 0: 8
	Kept  int // clients that POST on a kept connection; with Fresh also 0: 8
	Body  int // bytes of a POST; 0 means 16 KiB, -1 an empty body

	Rate    float64       // requests a second over all clients, open loop; 0: closed loop
	Timeout time.Duration // of one request, from when it is sent; 0 means 30s

	Want         string // body of a good answer; "": any
	WorkerHeader string // names the worker that answered; "" means "X-Worker"
}

// Interval is the width of one entry of Result.Intervals.
const Interval = 100 * time.Millisecond

// pause is how long a client of the closed loop rests after an error: a port
// that refuses must not become a busy loop of this program.
const pause = 10 * time.Millisecond

func (c Config) withDefaults() Config {
	if c.Fresh == 0 && c.Kept == 0 {
		c.Fresh, c.Kept = 8, 8
	}
	switch c.Body {
	case 0:
		c.Body = 16 << 10
	case -1:
		c.Body = 0
	}
	c.Path = orElse(c.Path, "/")
	c.Host = orElse(c.Host, "localhost")
	c.WorkerHeader = strings.ToLower(orElse(c.WorkerHeader, "X-Worker"))
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	return c
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// Validate says what is wrong, all of it. Preconditions: withDefaults.
func (c Config) validate() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Fresh < 0 || c.Kept < 0 || c.Fresh+c.Kept > 10000 {
		bad("%d fresh and %d kept clients (want 1 to 10000 in all)", c.Fresh, c.Kept)
	}
	if c.Body < 0 || c.Body > 64<<20 {
		bad("body of %d bytes (want 0 to 64 MiB)", c.Body)
	}
	if c.Rate < 0 || c.Rate > 1e6 {
		bad("rate %v (want 0 to 1000000 a second)", c.Rate)
	}
	if c.Timeout < 0 {
		bad("timeout %v (want more than 0)", c.Timeout)
	}
	for name, text := range map[string]string{"path": c.Path, "host": c.Host} {
		if strings.ContainsAny(text, " \t\r\n\x00") {
			bad("%s %q: blanks and control characters do not belong there", name, text)
		}
	}
	if c.Path[0] != '/' {
		bad("path %q: want one that begins with /", c.Path)
	}
	return errors.Join(problems...)
}

// target is where connect(2) goes.
type target struct {
	family int
	to     unix.Sockaddr
}

func parseTarget(text string) (target, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		path, _, _ = strings.Cut(path, "?")
		if path == "" || path[0] != '/' && path[0] != '@' || len(path) > 107 {
			return target{}, fmt.Errorf("target %q: want unix:/path or unix:@name, at most 107 bytes", text)
		}
		return target{unix.AF_UNIX, &unix.SockaddrUnix{Name: path}}, nil
	}
	host := strings.TrimPrefix(text, "tcp://")
	if rest, ok := strings.CutPrefix(host, "localhost:"); ok {
		host = "127.0.0.1:" + rest
	} else if strings.HasPrefix(host, ":") {
		host = "127.0.0.1" + host
	}
	at, err := netip.ParseAddrPort(host)
	if err != nil || at.Port() == 0 {
		return target{}, fmt.Errorf("target %q: want an address and a port like 127.0.0.1:8080, or unix:/path", text)
	}
	if a := at.Addr().Unmap(); a.Is4() {
		return target{unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: a.As4()}}, nil
	}
	return target{unix.AF_INET6, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}}, nil
}

// requests gives the bytes of both kinds.
func (c Config) requests() (fresh, kept []byte) {
	fresh = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", c.Path, c.Host)
	kept = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", c.Path, c.Host, c.Body)
	kept = append(kept, strings.Repeat("storm---", c.Body/8+1)[:c.Body]...)
	return fresh, kept
}
