package resp

import (
	"crypto/sha1" //nolint:gosec // EVALSHA names a script so; nothing is protected by it
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"time"

	"prefork/ipc/store"
)

// script is what one of the known scripts does.
type script struct {
	keys, args int // what it needs
	run        func(s *server, keys, args [][]byte)
}

// scripts are the scripts that EVALSHA may name: those of knownTexts as their
// libraries write them, and each other spelling that a client has sent.
type scripts map[string]*script // by SHA1

// maxScripts bounds the spellings; after it EVALSHA has to be sent as EVAL.
const maxScripts = 256

func digest(text string) string {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// knownScripts are the scripts by the digest of their text.
func knownScripts() scripts {
	all := scripts{}
	for _, k := range knownTexts {
		all[digest(k.text)] = k.script
	}
	return all
}

// byTokens are the scripts by what is left of their text without comments,
// spaces, and the way a string is quoted.
var byTokens = func() map[string]*script {
	all := map[string]*script{}
	for _, k := range knownTexts {
		all[strings.Join(tokens(k.text), " ")] = k.script
	}
	return all
}()

// maxScriptText is far above the longest of the known scripts.
const maxScriptText = 4096

// learn finds the script that a text spells.
func (s scripts) learn(text []byte) (sha string, known *script) {
	if len(text) > maxScriptText {
		return "", nil
	}
	sha = digest(string(text))
	if known = s[sha]; known == nil {
		known = byTokens[strings.Join(tokens(string(text)), " ")]
		if known != nil && len(s) < maxScripts {
			s[sha] = known
		}
	}
	return sha, known
}

const errScript = "ERR this store runs no Lua but the scripts by which known libraries release or extend a lock (docs/reference/store-commands.md lists them)"

func (s *server) eval(_ *client, a [][]byte) {
	_, known := s.scripts.learn(a[1])
	s.runScript(known, errScript, a[2:])
}

const errNoScript = "NOSCRIPT No matching script. Please use EVAL."

func (s *server) evalsha(_ *client, a [][]byte) {
	if len(a[1]) != 2*sha1.Size {
		s.r.error(errNoScript)
		return
	}
	s.runScript(s.scripts[string(lower64(a[1]))], errNoScript, a[2:])
}

// lower64 is a digest in lower case.
func lower64(sha []byte) []byte {
	return []byte(strings.ToLower(string(sha[:min(len(sha), 64)])))
}

// runScript runs a script with the number of keys, keys and arguments that
// follow it.
func (s *server) runScript(known *script, missing string, a [][]byte) {
	n, ok := s.integer(a[0])
	switch {
	case !ok:
	case n > int64(len(a)-1):
		s.r.error("ERR Number of keys can't be greater than number of args")
	case n < 0:
		s.r.error("ERR Number of keys can't be negative")
	case known == nil:
		s.r.error(missing)
	case int(n) != known.keys || len(a)-1-int(n) < known.args:
		s.r.error("ERR this script is known for one key and its arguments only")
	default:
		known.run(s, a[1:1+n], a[1+n:])
	}
}

func (s *server) scriptLoad(_ *client, a [][]byte) {
	sha, known := s.scripts.learn(a[2])
	if known == nil {
		s.r.error(errScript)
		return
	}
	s.r.text(sha)
}

func (s *server) scriptExists(_ *client, a [][]byte) {
	s.r.array(len(a) - 2)
	for _, sha := range a[2:] {
		if s.scripts[string(lower64(sha))] != nil {
			s.r.int(1)
		} else {
			s.r.int(0)
		}
	}
}

func (s *server) scriptFlush(_ *client, a [][]byte) {
	if len(a) > 3 || (len(a) == 3 && !is(a[2], "async") && !is(a[2], "sync")) {
		s.r.error("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
		return
	}
	s.scripts = knownScripts()
	s.r.ok()
}

// owned answers other when the entry is not there or has another value than
// owner, else what f answers: f changes the entry that it is given, and says
// false when somebody else wrote meanwhile.
func (s *server) owned(key, owner []byte, missing, other int64, f func(e store.Entry) (result int64, err error)) {
	for {
		e, found, ok := s.get(key)
		if !ok {
			return
		}
		switch {
		case !found:
			s.r.int(missing)
			return
		case string(e.Value) != string(owner):
			s.r.int(other)
			return
		}
		result, err := f(e)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			s.failed(err)
			return
		}
		s.r.int(result)
		return
	}
}

// release deletes an entry if its value is ARGV[1].
func release(missing, other int64) func(s *server, keys, args [][]byte) {
	return func(s *server, keys, args [][]byte) {
		s.owned(keys[0], args[0], missing, other, func(e store.Entry) (int64, error) {
			_, err := s.store.Delete(s.ctx, s.key(keys[0]), e.Version)
			return 1, err
		})
	}
}

// extend gives an entry a new expiry if its value is ARGV[1]: ARGV[2], in units.
// It is a write at the version that was compared, as Touch would extend the
// lock of whoever came in between.
func extend(unit time.Duration) func(s *server, keys, args [][]byte) {
	return func(s *server, keys, args [][]byte) {
		n, ok := s.integer(args[1])
		if !ok {
			return
		}
		s.owned(keys[0], args[0], 0, 0, func(e store.Entry) (int64, error) { return s.extendTo(keys[0], e, n, unit) })
	}
}

func (s *server) extendTo(key []byte, e store.Entry, n int64, unit time.Duration) (int64, error) {
	if n <= 0 {
		_, err := s.store.Delete(s.ctx, s.key(key), e.Version)
		return 1, err
	}
	ttl := maxTTL
	if n < int64(maxTTL/unit) {
		ttl = time.Duration(n) * unit
	}
	_, err := s.store.Set(s.ctx, s.key(key), e.Value, store.Write{TTL: ttl, If: store.IfVersion, Version: e.Version})
	return 1, err
}

// extendPython is redis-py's: with ARGV[3] "0" the time that is left counts
// too, and an entry without an expiry is not extended.
func extendPython(s *server, keys, args [][]byte) {
	n, ok := s.integer(args[1])
	if !ok {
		return
	}
	s.owned(keys[0], args[0], 0, 0, func(e store.Entry) (int64, error) {
		if e.TTL == 0 {
			return 0, nil
		}
		total := n
		if left := e.TTL.Milliseconds(); string(args[2]) == "0" && total < math.MaxInt64-left {
			total += left
		}
		return s.extendTo(keys[0], e, total, time.Millisecond)
	})
}

// acquire writes an entry with ARGV[1] for ARGV[2] milliseconds, if there is
// none.
func acquire(s *server, keys, args [][]byte) {
	ttl, ok := s.ttl(args[1], false, false, "set")
	if !ok || !s.keyFits(keys[0]) {
		return
	}
	_, err := s.store.Set(s.ctx, s.key(keys[0]), args[0], store.Write{TTL: ttl, If: store.IfAbsent})
	if errors.Is(err, store.ErrConflict) {
		s.r.int(0)
		return
	}
	s.countOf(true, err)
}

// ownedOrAcquire is redsync's way to extend: a lock that ran out is taken
// again.
func ownedOrAcquire(s *server, keys, args [][]byte) {
	n, ok := s.integer(args[1])
	if !ok {
		return
	}
	mark := len(s.r.b)
	s.owned(keys[0], args[0], -1, 0, func(e store.Entry) (int64, error) {
		return s.extendTo(keys[0], e, n, time.Millisecond)
	})
	if string(s.r.b[mark:]) == ":-1\r\n" {
		s.r.b = s.r.b[:mark]
		acquire(s, keys, args)
	}
}
