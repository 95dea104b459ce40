package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strings"
	"sync"
)

// tokenSize is the length of what scs makes: 32 random bytes in base64url.
const tokenSize = 43

// publicKey is the key of the hash when the application gives none. The token
// is 256 random bits, so its hash cannot be turned back whoever knows the key.
// A secret that workers agreed upon through the store would add nothing, who
// reads the store has it, and a full store could evict it.
const publicKey = "prefork/worker/session"

// byKey marks what stands for a token where only the key of the store is known
// (Iterate). No cookie is taken for one: it is no token by its form.
const byKey = "key="

// naming turns tokens into keys of the store.
type naming struct {
	prefix string
	secret []byte
	macs   sync.Pool // of *mac
}

type mac struct {
	hash hash.Hash
	in   [tokenSize]byte
	sum  [sha256.Size]byte
	key  []byte
}

func (n *naming) start() {
	n.macs.New = func() any {
		return &mac{hash: hmac.New(sha256.New, n.secret), key: []byte(n.prefix)}
	}
}

// tokenBytes are those of base64url.
var tokenBytes = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		is[c] = true
	}
	return is
}()

// wellFormed says whether a token looks like one that scs makes. Everything
// else is refused before it costs anything.
func wellFormed(token string) bool {
	if len(token) != tokenSize {
		return false
	}
	for i := range tokenSize {
		if !tokenBytes[token[i]] {
			return false
		}
	}
	return true
}

// keyOf gives the key under which the store has the session of a token, or
// says that it can have none.
func (n *naming) keyOf(token string) (key string, ok bool) {
	if key, ok = strings.CutPrefix(token, byKey); ok {
		return key, true
	}
	if !wellFormed(token) {
		return "", false
	}
	return n.hash(token), true
}

// hash gives the key of a token that is well formed. The store never sees the
// token.
func (n *naming) hash(token string) string {
	m := n.macs.Get().(*mac)
	defer n.macs.Put(m)
	m.hash.Reset()
	copy(m.in[:], token)
	_, _ = m.hash.Write(m.in[:]) // hash.Hash: never an error
	m.key = base64.RawURLEncoding.AppendEncode(m.key[:len(n.prefix)], m.hash.Sum(m.sum[:0]))
	return string(m.key)
}
