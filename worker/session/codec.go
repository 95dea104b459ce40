package session

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Codec writes a session as JSON, the same bytes for the same content, and
// such that other languages read it:
//
//	{"deadline":"2026-01-02T15:04:05.999Z","values":{"cart":["a","b"],"n":3,"user":"ada"}}
//
// Keys are in order. Strings, booleans, null, lists ([]any) and objects
// (map[string]any) are JSON's; an int is a number without a point or an
// exponent, a float64 one with either. What JSON has no word for is an object
// with one key:
//
//	{"$bytes":"base64"}     []byte
//	{"$time":"RFC 3339"}    time.Time, in UTC
//	{"$int64":"7"}          int64
//	{"$int32":"7"}          int32
//	{"$strings":["a","b"]}  []string
//	{"$map":{...}}          a map[string]any of which a key begins with $
//
// Any other type is an error of the commit: turn it into one of these first. A
// string must be valid UTF-8; other bytes are []byte. A nil slice or map comes
// back empty.
//
// What is read may have white space and any order of keys, so that other
// languages can write sessions too. A member that is not known, or is there
// twice, is an error.
type Codec struct{}

// maxDepth bounds how deep lists and maps stand in each other: a map that
// holds itself must not end the process.
const maxDepth = 64

var errDepth = fmt.Errorf("is nested deeper than %d", maxDepth)

// Encode is of scs.Codec.
func (Codec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	b := make([]byte, 0, 128)
	b, err := appendTime(append(b, `{"deadline":`...), deadline)
	if err != nil {
		return nil, fmt.Errorf("encode session: deadline: %w", err)
	}
	b = append(b, `,"values":`...)
	if b, err = appendMap(b, values, appendValue, 0); err != nil {
		return nil, fmt.Errorf("encode session: %w", err)
	}
	return append(b, '}'), nil
}

func appendValue(b []byte, value any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	switch v := value.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendText(b, v, depth)
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return append(strconv.AppendInt(append(b, `{"$int64":"`...), v, 10), `"}`...), nil
	case int32:
		return append(strconv.AppendInt(append(b, `{"$int32":"`...), int64(v), 10), `"}`...), nil
	case float64:
		return appendFloat(b, v)
	case time.Time:
		b, err := appendTime(append(b, `{"$time":`...), v)
		return append(b, '}'), err
	case []byte:
		return append(base64.StdEncoding.AppendEncode(append(b, `{"$bytes":"`...), v), `"}`...), nil
	case []any:
		return appendList(b, v, appendValue, depth+1)
	case []string:
		b, err := appendList(append(b, `{"$strings":`...), v, appendText, depth+1)
		return append(b, '}'), err
	case map[string]any:
		if !reserved(v) {
			return appendMap(b, v, appendValue, depth+1)
		}
		b, err := appendMap(append(b, `{"$map":`...), v, appendValue, depth+1)
		return append(b, '}'), err
	}
	return nil, fmt.Errorf("is of type %T (want nil, bool, string, int, int32, int64, float64, time.Time, "+
		"[]byte, []any, []string or map[string]any)", value)
}

// reserved says whether a map could be taken for a typed value.
func reserved(m map[string]any) bool {
	for key := range m {
		if strings.HasPrefix(key, "$") {
			return true
		}
	}
	return false
}

func appendList[T any](b []byte, list []T, each func([]byte, T, int) ([]byte, error), depth int) ([]byte, error) {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = each(b, v, depth); err != nil {
			return nil, fmt.Errorf("[%d] %w", i, err)
		}
	}
	return append(b, ']'), nil
}

func appendMap[T any](b []byte, m map[string]T, each func([]byte, T, int) ([]byte, error), depth int) ([]byte, error) {
	var few [8]string
	names := slices.AppendSeq(few[:0], maps.Keys(m))
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		if !utf8.ValidString(name) {
			return nil, fmt.Errorf("%q has a key that is not UTF-8", name)
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendQuoted(b, name), ':')
		var err error
		if b, err = each(b, m[name], depth); err != nil {
			return nil, fmt.Errorf("%q %w", name, err)
		}
	}
	return append(b, '}'), nil
}

// appendText writes a string, which JSON can hold when it is UTF-8.
func appendText(b []byte, s string, _ int) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, errors.New("is a string that is not UTF-8 (want []byte)")
	}
	return appendQuoted(b, s), nil
}

// appendQuoted escapes what RFC 8259 section 7 says must be, and no more.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func appendFloat(b []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("is %v, which is no JSON number", f)
	}
	from := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	for _, c := range b[from:] {
		if c == '.' || c == 'e' {
			return b, nil
		}
	}
	return append(b, ".0"...), nil
}

// appendTime writes a time as RFC 3339 has it, which knows the years 0 to 9999.
func appendTime(b []byte, t time.Time) ([]byte, error) {
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("is a time of the year %d (want 0 to 9999)", y)
	}
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"'), nil
}
