package master

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"prefork/master/control"
)

func TestServedRequestsAreOnOneLineOldestFirst(t *testing.T) {
	now := time.Now()
	request := func(age time.Duration, method, path, client string, cut bool) control.Serving {
		return control.Serving{Method: method, Path: path, Client: client, Cut: cut, Since: now.Add(-age)}
	}
	for _, c := range []struct {
		name     string
		list     []control.Serving
		inFlight int64
		want     string
	}{
		{"one", []control.Serving{request(time.Second, "GET", "/a", "[::1]:1", false)}, 1, "GET /a for 1s from [::1]:1"},
		{"by age", []control.Serving{request(time.Millisecond, "GET", "/b", "c:2", true), request(time.Second, "PUT", "/a", "c:1", false)}, 2,
			"PUT /a for 1s from c:1; GET /b... for 1ms from c:2"},
		{"without a place", []control.Serving{request(0, "GET", "/a", "c:1", false)}, 4, "GET /a for 0s from c:1; 3 more"},
		{"none to be read", nil, 2, "2 more"},
		{"a count that ran on", []control.Serving{request(0, "GET", "/a", "c:1", false), request(0, "GET", "/b", "c:1", false)}, 1,
			"GET /a for 0s from c:1; GET /b for 0s from c:1"},
		{"in the future", []control.Serving{request(-time.Second, "GET", "/a", "c:1", false)}, 1, "GET /a for 0s from c:1"},
		{"empty", []control.Serving{request(0, "", "", "", false)}, 1, "- - for 0s from -"},
		{"garbage", []control.Serving{request(0, "G\x1b[31m", "/a\nb \xff\u202e\u2028\u009b\\ é\"", "c\x00;", false)}, 1,
			`G\x1b[31m /a\nb\x20\xff\u202e\u2028\u009b\\\x20é\" for 0s from c\x00;`},
	} {
		if got := servingText(c.list, c.inFlight, now); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestOfManyServedRequestsBothEndsAreNamed(t *testing.T) {
	now := time.Now()
	var list []control.Serving
	for i := range 16 {
		list = append(list, control.Serving{Method: "GET", Path: "/" + string(rune('a'+i)), Since: now.Add(time.Duration(i) * time.Second)})
	}
	got := servingText(list, 20, now)
	want := "/a /b /c /d 12 /m /n /o /p"
	var named []string
	for part := range strings.SplitSeq(got, "; ") {
		named = append(named, strings.Fields(strings.TrimPrefix(part, "GET "))[0])
	}
	if strings.Join(named, " ") != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func FuzzServedRequestStaysInItsPlace(f *testing.F) {
	for _, seed := range []string{"", "a", "\x1b]0;title\x07", "\xff\xff\xff", "; GET /x", "\\\"", strings.Repeat("\u2028", 50)} {
		f.Add(seed, seed, seed)
	}
	now := time.Now()
	f.Fuzz(func(t *testing.T, method, path, client string) {
		got := servingOne(control.Serving{Method: method, Path: path, Client: client, Since: now}, now)
		if n := strings.Count(got, " "); n != 5 {
			t.Fatalf("%d blanks in %q", n, got)
		}
		if i := strings.IndexFunc(got, func(r rune) bool {
			return !unicode.IsPrint(r) || r == unicode.ReplacementChar && !strings.ContainsRune(method+path+client, r)
		}); i >= 0 {
			t.Fatalf("%q at %d", got, i)
		}
	})
}
