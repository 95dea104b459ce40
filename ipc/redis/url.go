package redis

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mode is how the servers of a URL belong together.
type mode uint8

const (
	single mode = iota
	sentinel
	cluster
)

// settings are what a URL says.
type settings struct {
	mode     mode
	network  string // tcp or unix
	addrs    []string
	tls      bool
	db       int
	master   string // name that Sentinel knows
	username string
	password string

	sentinelUsername, sentinelPassword string

	prefix     string
	timeout    time.Duration // of one operation, connecting included
	pool       int           // connections to each server
	idle       time.Duration // until an unused connection is closed
	lease      time.Duration // of a lock whose holder lives
	poll       time.Duration // between two looks at the epochs
	failures   int           // in a row, that open the breaker
	retryAfter time.Duration // until an open breaker lets one call through

	ca, cert, key, serverName string
}

// schemes are the forms of a URL.
var schemes = map[string]settings{
	"redis":            {mode: single, network: "tcp"},
	"rediss":           {mode: single, network: "tcp", tls: true},
	"valkey":           {mode: single, network: "tcp"},
	"valkeys":          {mode: single, network: "tcp", tls: true},
	"unix":             {mode: single, network: "unix"},
	"redis+sentinel":   {mode: sentinel, network: "tcp"},
	"rediss+sentinel":  {mode: sentinel, network: "tcp", tls: true},
	"redis+cluster":    {mode: cluster, network: "tcp"},
	"rediss+cluster":   {mode: cluster, network: "tcp", tls: true},
	"valkey+cluster":   {mode: cluster, network: "tcp"},
	"valkeys+cluster":  {mode: cluster, network: "tcp", tls: true},
	"valkey+sentinel":  {mode: sentinel, network: "tcp"},
	"valkeys+sentinel": {mode: sentinel, network: "tcp", tls: true},
}

// parseURL reads a URL. Its errors never show a password.
func parseURL(text string) (*settings, error) {
	scheme, rest, found := strings.Cut(text, "://")
	s, known := schemes[scheme]
	if !found || !known {
		return nil, fmt.Errorf("scheme %.20q (want redis, rediss, unix, redis+sentinel, redis+cluster or valkey in the place of redis)", scheme)
	}
	s.timeout, s.pool, s.idle = time.Second, 8, 5*time.Minute
	s.lease, s.poll = 10*time.Second, 100*time.Millisecond
	s.failures, s.retryAfter = 5, time.Second

	// Cut by hand: a list of hosts is no host for net/url.
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, rest := rest[:end], rest[end:]
	user, hosts := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, hosts = authority[:at], authority[at+1:]
	}
	if err := s.credentials(user); err != nil {
		return nil, err
	}
	u, err := url.Parse("x://h" + rest)
	if err != nil {
		return nil, fmt.Errorf("path or options: malformed") // the error of url shows the text
	}
	if u.Fragment != "" {
		return nil, fmt.Errorf("fragment (a # in a password is written %%23)")
	}
	if err := s.place(hosts, u.Path); err != nil {
		return nil, err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("options: malformed")
	}
	return &s, s.options(query)
}

func (s *settings) credentials(user string) error {
	name, password, _ := strings.Cut(user, ":")
	var err, errPassword error
	s.username, err = url.PathUnescape(name)
	s.password, errPassword = url.PathUnescape(password)
	if err != nil || errPassword != nil {
		return fmt.Errorf("user or password: malformed %%-escape")
	}
	return nil
}

// place reads hosts and path.
func (s *settings) place(hosts, path string) error {
	if s.network == "unix" {
		if hosts != "" || path == "" || path == "/" {
			return fmt.Errorf("want unix:///path/to/socket")
		}
		s.addrs = []string{path}
		return nil
	}
	port := "6379"
	if s.mode == sentinel {
		port = "26379"
	}
	for host := range strings.SplitSeq(hosts, ",") {
		addr, err := withPort(host, port)
		if err != nil {
			return err
		}
		s.addrs = append(s.addrs, addr)
	}
	if s.mode == single && len(s.addrs) > 1 {
		return fmt.Errorf("%d hosts (want one, or redis+cluster:// or redis+sentinel://)", len(s.addrs))
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if s.mode == sentinel {
		if s.master = parts[0]; s.master == "" {
			return fmt.Errorf("no name of a master (want redis+sentinel://host,host/NAME)")
		}
		parts = parts[1:]
	}
	switch {
	case len(parts) > 1:
		return fmt.Errorf("path of %d parts", len(parts))
	case len(parts) == 1 && parts[0] != "":
		return s.database(parts[0])
	}
	return nil
}

func (s *settings) database(text string) (err error) {
	if s.db, err = strconv.Atoi(text); err != nil || s.db < 0 {
		return fmt.Errorf("database %.20q (want a number from 0)", text)
	}
	if s.db != 0 && s.mode == cluster {
		return fmt.Errorf("database %d: a cluster has 0 alone", s.db)
	}
	return nil
}

// withPort gives host:port of a host, a host:port or an IPv6 address.
func withPort(host, port string) (string, error) {
	if h, p, err := net.SplitHostPort(host); err == nil {
		host, port = h, p
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || host == "" || strings.ContainsAny(host, "[]@") {
		return "", fmt.Errorf("server %.60q (want host or host:port)", net.JoinHostPort(host, port))
	}
	return net.JoinHostPort(host, port), nil
}

// options reads what stands behind the question mark.
func (s *settings) options(query url.Values) error {
	var passwordFile, sentinelPasswordFile, db string
	texts := map[string]*string{
		"prefix": &s.prefix, "username": &s.username, "password_file": &passwordFile, "db": &db,
		"sentinel_username": &s.sentinelUsername, "sentinel_password_file": &sentinelPasswordFile,
		"ca": &s.ca, "cert": &s.cert, "key": &s.key, "server_name": &s.serverName,
	}
	spans := map[string]*time.Duration{
		"timeout": &s.timeout, "idle": &s.idle, "lease": &s.lease, "poll": &s.poll, "retry_after": &s.retryAfter,
	}
	counts := map[string]*int{"pool": &s.pool, "failures": &s.failures}
	for name, values := range query {
		if len(values) > 1 {
			return fmt.Errorf("option %q is given %d times", name, len(values))
		}
		value := values[0]
		var err error
		switch {
		case texts[name] != nil:
			*texts[name] = value
		case spans[name] != nil:
			*spans[name], err = span(value)
		case counts[name] != nil:
			*counts[name], err = count(value)
		default:
			known := make([]string, 0, len(texts)+len(spans)+len(counts))
			for n := range texts {
				known = append(known, n)
			}
			for n := range spans {
				known = append(known, n)
			}
			for n := range counts {
				known = append(known, n)
			}
			slices.Sort(known)
			return fmt.Errorf("unknown option %.40q (known: %s)", name, strings.Join(known, ", "))
		}
		if err != nil {
			return fmt.Errorf("option %s: %w", name, err)
		}
	}
	if db != "" {
		if err := s.database(db); err != nil {
			return err
		}
	}
	for file, into := range map[string]*string{passwordFile: &s.password, sentinelPasswordFile: &s.sentinelPassword} {
		if file == "" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read password: %w", err)
		}
		*into = strings.TrimRight(string(text), "\r\n")
	}
	if !s.tls && (s.ca != "" || s.cert != "" || s.key != "" || s.serverName != "") {
		return fmt.Errorf("options for TLS (want rediss://)")
	}
	if (s.cert == "") != (s.key == "") {
		return fmt.Errorf("one of cert and key (want both)")
	}
	if s.lease < 3*s.timeout {
		return fmt.Errorf("lease of %v (want at least three times the timeout of %v, so that it can be renewed)", s.lease, s.timeout)
	}
	return nil
}

// span reads a positive duration. A bare number is refused: clients do not
// agree on its unit.
func span(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Millisecond || d > 24*time.Hour {
		return 0, fmt.Errorf("%.20q (want a duration from 1ms to 24h, such as 500ms)", text)
	}
	return d, nil
}

func count(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1000 {
		return 0, fmt.Errorf("%.20q (want a number from 1 to 1000)", text)
	}
	return n, nil
}

// server says whom the URL names, without what is secret.
func (s *settings) server() string {
	at := strings.Join(s.addrs, ",")
	switch s.mode {
	case sentinel:
		return fmt.Sprintf("%s behind sentinel %s", s.master, at)
	case cluster:
		return "cluster " + at
	}
	return at
}
