package master

import (
	"errors"
	"fmt"
	"strings"

	"prefork/ipc/store"
)

// StoreKind says where what all workers share is kept.
type StoreKind int

// The kinds of a store.
const (
	StoreMemory  StoreKind = iota // in memory of this machine, in a segment that the master makes
	StoreBackend                  // on a server that a URL names
	StoreNone
)

// Store is the value of --store. The zero value is the default: memory, of
// the default size.
type Store struct {
	Kind   StoreKind
	Memory store.Config // with StoreMemory
	URL    string       // with StoreBackend, as given: it may hold a password
}

const noStore = "none"

// ParseStore reads "64MiB", "64MiB?full=refuse", a URL such as
// "redis://cache/0", or "none". No error of it says a password.
func ParseStore(text string) (Store, error) {
	switch {
	case text == "":
		return Store{}, errors.New("is empty: want a size such as 64MiB, a URL such as redis://127.0.0.1:6379/0, or none")
	case text == noStore:
		return Store{Kind: StoreNone}, nil
	case strings.Contains(text, "://"):
		return parseBackend(text)
	case strings.HasPrefix(text, "/"), strings.HasPrefix(text, "unix:"):
		return Store{}, errors.New("is no URL: want unix:///path/to/socket for a Redis server on a Unix socket")
	}
	m, err := store.ParseConfig(text)
	return Store{Kind: StoreMemory, Memory: m}, err
}

func parseBackend(url string) (Store, error) {
	scheme, rest, _ := strings.Cut(url, "://")
	for _, r := range url {
		if r <= ' ' || r == 0x7f {
			return Store{}, fmt.Errorf("%q holds a blank or a control character: want them percent-encoded", redactURL(url))
		}
	}
	letters := func(r rune) bool { return r >= 'a' && r <= 'z' || r == '+' || r == '-' }
	if scheme == "" || strings.TrimFunc(scheme, letters) != "" {
		return Store{}, fmt.Errorf("%q has no scheme: want a URL such as redis://127.0.0.1:6379/0", redactURL(url))
	}
	if rest == "" {
		return Store{}, fmt.Errorf("%q names no server: want a URL such as redis://127.0.0.1:6379/0", redactURL(url))
	}
	if scheme == "unix" && !namesPath(rest) {
		return Store{}, fmt.Errorf("%q names no path: want unix:///path/to/socket, with three slashes", redactURL(url))
	}
	return Store{Kind: StoreBackend, URL: url}, nil
}

// namesPath says that nothing but a user stands before the path of a Unix
// socket, and that there is one: what prefork/ipc/redis asks for.
func namesPath(rest string) bool {
	path := strings.IndexByte(rest, '/')
	if path < 0 || path > 0 && rest[path-1] != '@' {
		return false
	}
	end := strings.IndexAny(rest, "?#")
	return end > path+1 || end < 0 && len(rest) > path+1
}

// String is the text that ParseStore reads, less a password.
func (s Store) String() string {
	switch s.Kind {
	case StoreBackend:
		return redactURL(s.URL)
	case StoreNone:
		return noStore
	}
	return s.Memory.String()
}

// kindName is the word for a kind in status.
func (s Store) kindName() string {
	switch s.Kind {
	case StoreBackend:
		return "backend"
	case StoreNone:
		return noStore
	}
	return "memory"
}

const redacted = "***"

// redactURL takes passwords out of a URL: what stands between the first colon
// and the last "@" (a password that was not percent-encoded may hold "/" and
// "@" itself), and the values of parameters that are called like one.
func redactURL(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	user := ""
	// A path may hold an "@" too.
	pathAlone := scheme == "unix" && strings.HasPrefix(rest, "/")
	if at := strings.LastIndex(rest, "@"); at >= 0 && !pathAlone {
		name, _, colon := strings.Cut(rest[:at], ":")
		user, rest = redacted+"@", rest[at+1:]
		if colon {
			user = name + ":" + user
		}
	}
	place, query, ok := strings.Cut(rest, "?")
	if ok {
		params := strings.Split(query, "&")
		for i, p := range params {
			if name, _, has := strings.Cut(p, "="); has && secret(name) {
				params[i] = name + "=" + redacted
			}
		}
		query = "?" + strings.Join(params, "&")
	}
	return scheme + "://" + user + place + query
}

func secret(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"pass", "auth", "token", "secret", "key"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

func (v *validation) store() {
	c := v.config
	if c.StoreFile == "" {
		return
	}
	v.plain("store_file", c.StoreFile)
	if c.Store.Kind != StoreMemory {
		v.conflict("store_file", c.StoreFile, "of no use with", "store", c.Store.String(), "want a store in memory, or no file")
	}
}

// unchangeable says what a reload cannot change about the store: the segment
// of a pool is one, and so is the server that all its workers look at.
func (s Store) unchangeable(next Store) (what string, changed bool) {
	if s.Kind == next.Kind && s.URL == next.URL && s.Memory.String() == next.Memory.String() {
		return "", false
	}
	if old := s.String(); old == next.String() {
		return fmt.Sprintf("a reload cannot change the password in %q: that needs a restart", old), true
	}
	return fmt.Sprintf("a reload cannot change it from %q to %q: that needs a restart", s.String(), next.String()), true
}
