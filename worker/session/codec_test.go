package session_test

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"prefork/worker/session"
)

var deadline = time.Date(2030, 1, 2, 3, 4, 5, 600_000_000, time.UTC)

func TestValuesComeBackWithTheirTypes(t *testing.T) {
	values := map[string]any{
		"nil": nil, "true": true, "text": "a\"\\\n<>&\u2028é", "int": -7, "zero": 0, "max": math.MaxInt, "int64": int64(7), "int32": int32(-7),
		"float": 1.5, "whole float": 2.0, "large": 1e300, "small": 5e-324, "bytes": []byte{0, 255}, "no bytes": []byte{},
		"time": time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), "strings": []string{"a", ""}, "list": []any{1, "a", []any{2.0}},
		"map": map[string]any{"b": 1, "a": map[string]any{}}, "$dollar": "x", "marked": map[string]any{"$bytes": "no base64!"},
		"deep mark": map[string]any{"a": map[string]any{"$map": map[string]any{"$time": 1}}},
	}
	b, err := session.Codec{}.Encode(deadline, values)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if again, err := (session.Codec{}).Encode(deadline, values); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("another encoding: %v\n%s\n%s", err, again, b)
		}
	}
	when, got, err := session.Codec{}.Decode(b)
	if err != nil || !when.Equal(deadline) || !reflect.DeepEqual(got, values) {
		t.Errorf("%v, %v\n%#v\n%#v\n%s", when, err, got, values, b)
	}
}

func TestWhatCannotBeKeptIsAnError(t *testing.T) {
	deep := any("x")
	for range 100 {
		deep = []any{deep}
	}
	for what, value := range map[string]any{"type struct {}": struct{}{}, "NaN": math.NaN(), "UTF-8": "\xff", "deeper": deep, "uint8": uint8(1), "year": time.Unix(1<<40, 0)} {
		_, err := session.Codec{}.Encode(deadline, map[string]any{"key": value})
		if err == nil || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), "key") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzCodec(f *testing.F) {
	b, err := session.Codec{}.Encode(deadline, map[string]any{"a": 1, "b": []byte("x"), "c": []any{1.5, nil, time.Unix(0, 0).UTC()}, "d": map[string]any{"$x": 1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"deadline":"2026-01-02T15:04:05Z","values":{"n":1e3,"m":99999999999999999999,"x":{"$bytes":"!"}}}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(strings.Repeat(`{"values":{"a":`, 100)))
	f.Fuzz(func(t *testing.T, data []byte) {
		when, values, err := session.Codec{}.Decode(data)
		if err != nil {
			return
		}
		b, err := session.Codec{}.Encode(when, values)
		if err != nil {
			return // what JSON can hold and a session cannot: a year 10000
		}
		when2, again, err := session.Codec{}.Decode(b)
		if err != nil || !when2.Equal(when) || !reflect.DeepEqual(again, values) {
			t.Errorf("%q\n%v %#v\n%s\n%v %#v, %v", data, when, values, b, when2, again, err)
		}
	})
}
