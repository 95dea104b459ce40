package redis

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestURLSaysWhereAndHow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		url  string
		want settings // what is not named here is not compared
	}{
		{"redis://db", settings{addrs: []string{"db:6379"}}},
		{"redis://db:1/2", settings{addrs: []string{"db:1"}, db: 2}},
		{"redis://db?db=2", settings{addrs: []string{"db:6379"}, db: 2}},
		{"redis://[::1]:7/", settings{addrs: []string{"[::1]:7"}}},
		{"redis://[::1]", settings{addrs: []string{"[::1]:6379"}}},
		{"rediss://app:p%40ss%2Fw@db", settings{addrs: []string{"db:6379"}, tls: true, username: "app", password: "p@ss/w"}},
		{"redis://:p@db", settings{addrs: []string{"db:6379"}, password: "p"}},
		{"redis://app@db?password_file=" + file, settings{addrs: []string{"db:6379"}, username: "app", password: "from file"}},
		{"valkeys://db", settings{addrs: []string{"db:6379"}, tls: true}},
		{"unix:///run/redis/redis.sock?db=3", settings{network: "unix", addrs: []string{"/run/redis/redis.sock"}, db: 3}},
		{"unix://app:p@/run/s", settings{network: "unix", addrs: []string{"/run/s"}, username: "app", password: "p"}},
		{"redis+sentinel://a,b:1/main/3?sentinel_username=w", settings{mode: sentinel, addrs: []string{"a:26379", "b:1"}, master: "main", db: 3, sentinelUsername: "w"}},
		{"redis+cluster://a:1,b,[::1]:2", settings{mode: cluster, addrs: []string{"a:1", "b:6379", "[::1]:2"}}},
		{"redis://db?prefix=app%3A", settings{addrs: []string{"db:6379"}, prefix: "app:"}},
	} {
		got, err := parseURL(c.url)
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if c.want.network == "" {
			c.want.network = "tcp"
		}
		if !slices.Equal(got.addrs, c.want.addrs) {
			t.Errorf("%s: %q", c.url, got.addrs)
		}
		have := *got
		have.addrs, c.want.addrs = nil, nil
		c.want.timeout, c.want.pool, c.want.idle, c.want.lease = time.Second, 8, 5*time.Minute, 10*time.Second
		c.want.poll, c.want.failures, c.want.retryAfter = 100*time.Millisecond, 5, time.Second
		if fmt.Sprint(have) != fmt.Sprint(c.want) {
			t.Errorf("%s:\n%+v, want\n%+v", c.url, have, c.want)
		}
	}
	s, err := parseURL("redis://db?timeout=2s&pool=3&idle=1m&lease=20s&poll=1s&failures=9&retry_after=3s")
	if err != nil || s.timeout != 2*time.Second || s.pool != 3 || s.idle != time.Minute || s.lease != 20*time.Second ||
		s.poll != time.Second || s.failures != 9 || s.retryAfter != 3*time.Second {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestBadURLIsNamedWithoutItsPassword(t *testing.T) {
	for url, want := range map[string]string{
		"":                                        "scheme",
		"db:6379":                                 "scheme",
		"http://u:secret@db":                      "scheme",
		"redis://u:secret@":                       "server",
		"redis://u:secret@db:x":                   "server",
		"redis://u:secret@db:70000":               "server",
		"redis://u:sec%zzret@db":                  "malformed",
		"redis://u:secret@a,b":                    "2 hosts",
		"redis://u:secret@db/x":                   "database",
		"redis://u:secret@db/-1":                  "database",
		"redis://u:secret@db/1/2":                 "path of 2 parts",
		"redis://u:secret@db#x":                   "fragment",
		"redis://u:secret@db/%zz":                 "malformed",
		"redis://u:secret@db?a=%zz":               "malformed",
		"redis://u:secret@db?ssl=1":               `unknown option "ssl" (known: ca, cert, db, failures,`,
		"redis://u:secret@db?pool=1&pool=2":       "2 times",
		"redis://u:secret@db?pool=0":              "1 to 1000",
		"redis://u:secret@db?timeout=1":           "such as 500ms",
		"redis://u:secret@db?timeout=-1s":         "such as 500ms",
		"redis://u:secret@db?timeout=5s&lease=9s": "three times the timeout",
		"redis://u:secret@db?ca=x":                "want rediss://",
		"rediss://u:secret@db?cert=x":             "want both",
		"redis://u@db?password_file=/nowhere":     "/nowhere",
		"redis+cluster://u:secret@a,b/1":          "a cluster has 0 alone",
		"redis+cluster://u:secret@a,,b":           "server",
		"redis+sentinel://u:secret@a":             "no name of a master",
		"unix://db/run/s":                         "want unix:///path",
		"unix://":                                 "want unix:///path",
	} {
		_, err := parseURL(url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v; want %q", url, err, want)
		}
	}
}

// The page has every option and every scheme.
func TestReferencePageHasEveryOption(t *testing.T) {
	text, err := os.ReadFile("../../docs/reference/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, err = parseURL("redis://db?no_such_option=1")
	_, known, _ := strings.Cut(err.Error(), "known: ")
	for option := range strings.SplitSeq(strings.TrimSuffix(known, ")"), ", ") {
		if !strings.Contains(string(text), "`"+option+"`") {
			t.Errorf("redis.md does not have the option %q", option)
		}
	}
	for scheme := range schemes {
		if name := strings.Replace(scheme, "valkey", "redis", 1); !strings.Contains(string(text), name+"://") {
			t.Errorf("redis.md does not have %s://", scheme)
		}
	}
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{
		"redis://u:p@[::1]:7/2?pool=3", "redis+sentinel://a,b:1/main/3", "unix:///s?db=1", "rediss+cluster://a,b?ca=x", "redis://%zz@:@,/?&=#",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "password_file") {
			return // it would be read
		}
		s, err := parseURL(text)
		if err == nil && (len(s.addrs) == 0 || s.timeout <= 0 || s.lease < s.timeout || s.pool < 1) {
			t.Errorf("%q: %+v", text, s)
		}
	})
}
