package session

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
// string must be valid UTF-8; other bytes are []byte.
type Codec struct{}

// maxDepth of lists in lists.
const maxDepth = 64

var errDepth = fmt.Errorf("lists and maps are nested deeper than %d", maxDepth)

// Encode implements scs.Codec.
func (Codec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	b := append(make([]byte, 0, 256), `{"deadline":"`...)
	b = deadline.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","values":`...)
	b, err := appendMap(b, values, 0)
	if err != nil {
		return nil, fmt.Errorf("encode session: %w", err)
	}
	return append(b, '}'), nil
}

func appendMap(b []byte, values map[string]any, depth int) ([]byte, error) {
	b = append(b, '{')
	for i, key := range slices.Sorted(maps.Keys(values)) {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendString(b, key); err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		b = append(b, ':')
		if b, err = appendValue(b, values[key], depth+1); err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
	}
	return append(b, '}'), nil
}

func appendValue(b []byte, value any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	var err error
	switch v := value.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendString(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return append(strconv.AppendInt(append(b, `{"$int64":"`...), v, 10), `"}`...), nil
	case int32:
		return append(strconv.AppendInt(append(b, `{"$int32":"`...), int64(v), 10), `"}`...), nil
	case float64:
		return appendFloat(b, v)
	case []byte:
		b = base64.StdEncoding.AppendEncode(append(b, `{"$bytes":"`...), v)
		return append(b, `"}`...), nil
	case time.Time:
		if y := v.UTC().Year(); y < 0 || y > 9999 {
			return nil, fmt.Errorf("a time in the year %d (want 0 to 9999)", y)
		}
		b = v.UTC().AppendFormat(append(b, `{"$time":"`...), time.RFC3339Nano)
		return append(b, `"}`...), nil
	case []string:
		b = append(b, `{"$strings":[`...)
		for i, s := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendString(b, s); err != nil {
				return nil, err
			}
		}
		return append(b, "]}"...), nil
	case []any:
		b = append(b, '[')
		for i, each := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendValue(b, each, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		if !marked(v) {
			return appendMap(b, v, depth)
		}
		if b, err = appendMap(append(b, `{"$map":`...), v, depth); err != nil {
			return nil, err
		}
		return append(b, '}'), nil
	}
	return nil, fmt.Errorf("a value of type %T cannot be kept in a session (want nil, bool, string, int, int32, int64, float64, []byte, time.Time, []string, []any or map[string]any)", value)
}

// marked says whether a map could be taken for a value that JSON has no word
// for.
func marked(m map[string]any) bool {
	for key := range m {
		if strings.HasPrefix(key, "$") {
			return true
		}
	}
	return false
}

func appendFloat(b []byte, v float64) ([]byte, error) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, fmt.Errorf("%v is no JSON number", v)
	}
	start := len(b)
	b = strconv.AppendFloat(b, v, 'g', -1, 64)
	if !bytes.ContainsAny(b[start:], ".e") {
		b = append(b, ".0"...)
	}
	return b, nil
}

func appendString(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("a string that is not UTF-8 (want []byte)")
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			text, err := json.Marshal(s)
			return append(b, text...), err
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"'), nil
}

// Decode implements scs.Codec. What Encode does not write may be read, so that
// other languages can write sessions too.
func (Codec) Decode(b []byte) (time.Time, map[string]any, error) {
	var whole struct {
		Deadline time.Time      `json:"deadline"`
		Values   map[string]any `json:"values"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&whole); err != nil {
		return time.Time{}, nil, fmt.Errorf("decode session: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return time.Time{}, nil, errors.New("decode session: something follows it")
	}
	if whole.Values == nil {
		whole.Values = make(map[string]any)
	}
	for key, value := range whole.Values {
		v, err := typed(value, 0)
		if err != nil {
			return time.Time{}, nil, fmt.Errorf("decode session: %q: %w", key, err)
		}
		whole.Values[key] = v
	}
	return whole.Deadline.UTC(), whole.Values, nil
}

// typed turns what JSON has into what Encode was given.
func typed(value any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	switch v := value.(type) {
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return v.Float64()
		}
		return strconv.Atoi(v.String())
	case []any:
		for i := range v {
			var err error
			if v[i], err = typed(v[i], depth+1); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		if len(v) == 1 {
			for key, inner := range v {
				if strings.HasPrefix(key, "$") {
					return special(key, inner, depth)
				}
			}
		}
		for key := range v {
			var err error
			if v[key], err = typed(v[key], depth+1); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

func special(key string, inner any, depth int) (any, error) {
	text, isText := inner.(string)
	switch {
	case key == "$bytes" && isText:
		return base64.StdEncoding.DecodeString(text)
	case key == "$time" && isText:
		t, err := time.Parse(time.RFC3339Nano, text)
		return t.UTC(), err
	case key == "$int64" && isText:
		return strconv.ParseInt(text, 10, 64)
	case key == "$int32" && isText:
		n, err := strconv.ParseInt(text, 10, 32)
		return int32(n), err
	case key == "$strings":
		list, ok := inner.([]any)
		if !ok {
			break
		}
		all := make([]string, len(list))
		for i, each := range list {
			if all[i], ok = each.(string); !ok {
				return nil, fmt.Errorf("$strings has a %T", each)
			}
		}
		return all, nil
	case key == "$map":
		m, ok := inner.(map[string]any)
		if !ok {
			break
		}
		for k := range m {
			var err error
			if m[k], err = typed(m[k], depth+1); err != nil {
				return nil, err
			}
		}
		return m, nil
	}
	return nil, fmt.Errorf("%s: unknown, or with a value of the wrong kind", key)
}
