package demo

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	loginTTL   = 30 * time.Minute
	tokenBytes = 32 // 256 bits: cannot be guessed, so it needs no signature
	maxName    = 40 // runes
)

// login is one session: who, since when, and which worker took it.
type login struct {
	Name string `json:"name"`
	Slot int    `json:"slot"`
}

// logins keeps sessions in one Table, under one cookie. The two that the demo
// has differ in their table alone.
type logins struct {
	cookie string
	table  Table
}

// key is what the table knows a token by. Only the hash is kept: who can read
// the store cannot log in with what stands there.
func (l logins) key(token string) string {
	sum := sha256.Sum256([]byte(token))
	return keyLogin + hex.EncodeToString(sum[:])
}

// current gives the login of a request, nil when this table has none.
func (l logins) current(r *http.Request) (*login, error) {
	token, ok := l.token(r)
	if !ok {
		return nil, nil
	}
	value, found, err := l.table.Get(l.key(token))
	if err != nil {
		return nil, fmt.Errorf("find login: %w", err)
	}
	if !found {
		return nil, nil
	}
	var in login
	if err := json.Unmarshal(value, &in); err != nil {
		return nil, fmt.Errorf("decode login: %w", err)
	}
	return &in, nil
}

// begin replaces whatever login the request had by a new one under a fresh
// token. A token that the browser brought is never taken over, known or not:
// else somebody could plant his own in a visitor's browser (session fixation).
func (l logins) begin(w http.ResponseWriter, r *http.Request, in login) error {
	if err := l.forget(r); err != nil {
		return err
	}
	raw := make([]byte, tokenBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the program instead (Go 1.24)
	token := base64.RawURLEncoding.EncodeToString(raw)
	value, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode login: %w", err)
	}
	if err := l.table.Set(l.key(token), value, loginTTL); err != nil {
		return fmt.Errorf("keep login: %w", err)
	}
	http.SetCookie(w, l.setCookie(token, int(loginTTL/time.Second)))
	return nil
}

// end forgets the login of a request and takes its cookie back.
func (l logins) end(w http.ResponseWriter, r *http.Request) error {
	if err := l.forget(r); err != nil {
		return err
	}
	http.SetCookie(w, l.setCookie("", -1))
	return nil
}

func (l logins) forget(r *http.Request) error {
	token, ok := l.token(r)
	if !ok {
		return nil
	}
	if err := l.table.Delete(l.key(token)); err != nil {
		return fmt.Errorf("forget login: %w", err)
	}
	return nil
}

// token gives the token that a request carries, if it has the form of ours.
func (l logins) token(r *http.Request) (string, bool) {
	c, err := r.Cookie(l.cookie)
	if err != nil || len(c.Value) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return "", false
	}
	return c.Value, true
}

// setCookie has no Secure: the demo speaks plain HTTP on the loopback
// interface, where not every browser keeps a Secure cookie.
func (l logins) setCookie(token string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: l.cookie, Value: token, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// cleanName gives the name that a visitor typed, or an error that tells him
// what is wrong with it. Nothing is escaped here: that is the business of the
// place where it is shown, and the page only ever sets text, never markup.
func cleanName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", badRequest("name is empty")
	case utf8.RuneCountInString(name) > maxName:
		return "", badRequest(fmt.Sprintf("name of %d characters (max %d)", utf8.RuneCountInString(name), maxName))
	case strings.ContainsFunc(name, unicode.IsControl):
		return "", badRequest("name has a control character")
	}
	return name, nil
}
