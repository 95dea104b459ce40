package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Decode is of scs.Codec.
func (Codec) Decode(b []byte) (deadline time.Time, values map[string]any, err error) {
	p := parser{s: string(b)}
	var seen [2]bool
	err = p.members(func(name string) error {
		var err error
		member := &seen[0]
		switch name {
		case "deadline":
			deadline, err = p.time()
		case "values":
			member = &seen[1]
			values, err = p.values()
		default:
			return fmt.Errorf("unknown member %q", name)
		}
		if *member {
			return fmt.Errorf("member %q twice", name)
		}
		*member = true
		return err
	})
	switch {
	case err != nil:
	case p.peek() != 0 || p.i < len(p.s):
		err = p.want("the end")
	case !seen[0] || !seen[1]:
		err = errors.New("want deadline and values")
	}
	if err != nil {
		return time.Time{}, nil, fmt.Errorf("decode session: %w", err)
	}
	return deadline, values, nil
}

// parser reads JSON (RFC 8259). The strings that it returns are parts of s: one
// allocation for a session, which lives as long as any of them.
type parser struct {
	s     string
	i     int // where it is
	depth int
}

func (p *parser) want(what string) error { return fmt.Errorf("byte %d: want %s", p.i, what) }

// peek gives the next byte that is not white space, 0 at the end.
func (p *parser) peek() byte {
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// take moves past the next byte if it is c.
func (p *parser) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.i++
	return true
}

func (p *parser) word(w string) bool {
	if !strings.HasPrefix(p.s[p.i:], w) {
		return false
	}
	p.i += len(w)
	return true
}

func (p *parser) value() (any, error) {
	switch c := p.peek(); {
	case c == '"':
		return p.text()
	case c == '{':
		return p.object()
	case c == '[':
		return list(p, p.value)
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case p.word("true"):
		return true, nil
	case p.word("false"):
		return false, nil
	case p.word("null"):
		return nil, nil
	}
	return nil, p.want("a value")
}

// members calls f for each member of an object, to read its value.
func (p *parser) members(f func(name string) error) error {
	if !p.take('{') {
		return p.want("{")
	}
	if p.depth++; p.depth > maxDepth+3 { // of a session, its values and a wrapper
		return errDepth
	}
	defer func() { p.depth-- }()
	for first := true; !p.take('}'); first = false {
		if !first && !p.take(',') {
			return p.want(", or }")
		}
		name, err := p.text()
		if err != nil {
			return err
		}
		if !p.take(':') {
			return p.want(":")
		}
		if err := f(name); err != nil {
			return err
		}
	}
	return nil
}

// mapOf reads an object as a map, each key once.
func mapOf[T any](p *parser, each func() (T, error)) (map[string]T, error) {
	m := map[string]T{}
	err := p.members(func(name string) error {
		if _, twice := m[name]; twice {
			return fmt.Errorf("byte %d: key %q twice", p.i, name)
		}
		v, err := each()
		m[name] = v
		return err
	})
	return m, err
}

func (p *parser) values() (map[string]any, error) { return mapOf(p, p.value) }

func list[T any](p *parser, each func() (T, error)) ([]T, error) {
	if !p.take('[') {
		return nil, p.want("[")
	}
	if p.depth++; p.depth > maxDepth+3 {
		return nil, errDepth
	}
	defer func() { p.depth-- }()
	all := []T{}
	for !p.take(']') {
		if len(all) > 0 && !p.take(',') {
			return nil, p.want(", or ]")
		}
		v, err := each()
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// text reads a string of JSON.
func (p *parser) text() (string, error) {
	if !p.take('"') {
		return "", p.want("a string")
	}
	from, escaped := p.i, false
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '\\':
			escaped = true
			p.i++ // whatever it is, it does not end the string
		case c < 0x20:
			return "", p.want("no control character in a string")
		case c == '"':
			p.i++
			return p.unescape(p.s[from:p.i-1], escaped)
		}
	}
	return "", p.want(`"`)
}

func (p *parser) unescape(raw string, escaped bool) (string, error) {
	if !utf8.ValidString(raw) {
		return "", fmt.Errorf("byte %d: string is not UTF-8", p.i)
	}
	if !escaped {
		return raw, nil
	}
	var s string
	if err := json.Unmarshal([]byte(`"`+raw+`"`), &s); err != nil {
		return "", fmt.Errorf("byte %d: %w", p.i, err)
	}
	return s, nil
}

// number reads an int, or a float64 where there is a point or an exponent.
func (p *parser) number() (any, error) {
	from := p.i
	whole, err := p.scanNumber()
	if err != nil {
		return nil, err
	}
	text := p.s[from:p.i]
	if whole {
		n, err := strconv.ParseInt(text, 10, strconv.IntSize)
		if err != nil {
			return nil, fmt.Errorf("byte %d: %w", from, err)
		}
		return int(n), nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("byte %d: %w", from, err)
	}
	return f, nil
}

// scanNumber moves past a number as RFC 8259 section 6 writes it.
func (p *parser) scanNumber() (whole bool, err error) {
	digits := func() int {
		from := p.i
		for p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
			p.i++
		}
		return p.i - from
	}
	at := func(set string) bool {
		for i := range len(set) {
			if p.i < len(p.s) && p.s[p.i] == set[i] {
				p.i++
				return true
			}
		}
		return false
	}
	at("-")
	from, whole := p.i, true
	if n := digits(); n == 0 || n > 1 && p.s[from] == '0' {
		return false, p.want("a number")
	}
	if at(".") {
		if whole = false; digits() == 0 {
			return false, p.want("a digit")
		}
	}
	if at("eE") {
		whole = false
		if at("+-"); digits() == 0 {
			return false, p.want("a digit")
		}
	}
	return whole, nil
}

func (p *parser) time() (time.Time, error) {
	text, err := p.text()
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("byte %d: %w", p.i, err)
	}
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 { // an offset may lead out
		return time.Time{}, fmt.Errorf("byte %d: year %d", p.i, t.Year())
	}
	return t, nil
}
