package sockets_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"prefork/sockets"
)

// bound is an open socket that Listen has made for asked at addr.
func bound(t *testing.T, fd int, asked, addr string) *sockets.Socket {
	t.Helper()
	return &sockets.Socket{FD: fd, Asked: mustParse(t, asked), Addr: mustParse(t, addr)}
}

// passed is an open socket that systemd has passed.
func passed(t *testing.T, fd int, name, addr string) *sockets.Socket {
	t.Helper()
	a := mustParse(t, addr)
	a.Systemd = name
	return &sockets.Socket{FD: fd, Name: name, Asked: sockets.Addr{Systemd: name}, Addr: a, Adopted: true}
}

// planText is a plan as one line: NAME=FD for what stays, NAME+ADDR for what
// is to be bound, -FD for what goes.
func planText(c sockets.Changes) string {
	var words []string
	for _, p := range c.Set {
		if p.Open != nil {
			words = append(words, fmt.Sprintf("%s=%d", p.Name, p.Open.FD))
		} else {
			words = append(words, p.Name+"+"+p.Addr.Key())
		}
	}
	for _, s := range c.Remove {
		words = append(words, fmt.Sprintf("-%d", s.FD))
	}
	return strings.Join(words, " ")
}

func TestPlan(t *testing.T) {
	for _, tt := range []struct {
		name string
		open []*sockets.Socket
		want []string
		text string // planText, or a part of the error behind "error "
	}{
		{"start", nil, []string{":80", "unix:/a?name=u"}, "listen0+tcp://:80 u+unix:/a"},
		{"start with nothing", nil, nil, ""},
		{"two of any port", nil, []string{":0", ":0"}, "listen0+tcp://:0 listen1+tcp://:0"},
		{"twice", nil, []string{":80", ":80?name=x"}, "error listen tcp://:80: it is given twice"},
		{"overlap among the wanted", nil, []string{"0.0.0.0:80", "127.0.0.1:80"}, "error listen 127.0.0.1:80: it overlaps 0.0.0.0:80"},
		{
			"all stay, options are no matter", []*sockets.Socket{bound(t, 3, ":80?backlog=5", "[::]:80"), bound(t, 4, "unix:/a", "unix:/a")},
			[]string{"unix:/a?mode=0600", ":80?backlog=9"}, "listen0=4 listen1=3",
		},
		{"one goes, one comes", []*sockets.Socket{bound(t, 3, ":80", "[::]:80")}, []string{":81"}, "listen0+tcp://:81 -3"},
		{"port 0 stays", []*sockets.Socket{bound(t, 3, ":0", "[::]:4711"), bound(t, 4, ":0", "[::]:4712")}, []string{":0", ":0"}, "listen0=3 listen1=4"},
		{"one of two ports 0 goes", []*sockets.Socket{bound(t, 3, ":0", "[::]:4711"), bound(t, 4, ":0", "[::]:4712")}, []string{":0"}, "listen0=3 -4"},
		{"port 0 written out stays", []*sockets.Socket{bound(t, 3, "127.0.0.1:0", "127.0.0.1:4711")}, []string{"127.0.0.1:4711"}, "listen0=3"},
		{
			"overlap with what goes", []*sockets.Socket{bound(t, 3, "0.0.0.0:80", "0.0.0.0:80")},
			[]string{"127.0.0.1:80"}, "error listen 127.0.0.1:80: it overlaps 0.0.0.0:80, which is still open: needs a restart",
		},
		{
			"v6only changed", []*sockets.Socket{bound(t, 3, "[::]:80", "[::]:80")},
			[]string{"[::]:80?v6only"}, "error listen tcp://[::]:80: option v6only changed from false to true: needs a restart",
		},
		{
			"freebind changed", []*sockets.Socket{bound(t, 3, ":80?freebind", "[::]:80")},
			[]string{":80"}, "error listen tcp://:80: option freebind changed from true to false: needs a restart",
		},
		{"passed and nothing wanted", []*sockets.Socket{passed(t, 3, "a", ":80"), passed(t, 4, "", "unix:/s")}, nil, "a=3 listen1=4"},
		{
			"passed, by name", []*sockets.Socket{passed(t, 3, "a", ":80"), passed(t, 4, "b", ":81"), passed(t, 5, "a", ":82")},
			[]string{"systemd:b", ":90", "systemd:a"}, "b=4 listen1+tcp://:90 a=3 a=5",
		},
		{"passed, renamed", []*sockets.Socket{passed(t, 3, "a", ":80")}, []string{"systemd:a?name=web"}, "web=3"},
		{"name that nothing carries", nil, []string{"systemd:a"}, "error listen systemd:a: systemd has passed no socket"},
		{
			"name that others carry", []*sockets.Socket{passed(t, 3, "b", ":80"), passed(t, 4, "a", ":81"), passed(t, 5, "a", ":82"), passed(t, 6, "", ":83")},
			[]string{"systemd:c"}, `error systemd has passed no socket of this name: want one of "", "a", "b"`,
		},
		{"passed and not named", []*sockets.Socket{passed(t, 3, "a", "0.0.0.0:80")}, []string{":81"}, "error socket 0.0.0.0:80, passed by systemd as \"a\", is not named by any listen address: want systemd:a"},
		{"passed without a name", []*sockets.Socket{passed(t, 3, "", "unix:/s")}, []string{":81"}, "error socket unix:/s, passed by systemd without a name, is not named by any listen address: want FileDescriptorName= in its unit"},
		{"its address instead of its name", []*sockets.Socket{passed(t, 3, "a", "0.0.0.0:80")}, []string{"systemd:a", "127.0.0.1:80"}, "error listen 127.0.0.1:80: systemd has passed 0.0.0.0:80: want systemd:a"},
		{"name given twice", []*sockets.Socket{passed(t, 3, "a", ":80")}, []string{"systemd:a", "systemd:a?name=b"}, "error listen systemd:a: it is given twice"},
		{"TCP option on a passed Unix socket", []*sockets.Socket{passed(t, 3, "a", "unix:/s")}, []string{"systemd:a?keepalive"}, "error keepalive, defer-accept and fast-open do not fit unix:/s"},
		{"bound ones go, passed ones stay", []*sockets.Socket{passed(t, 3, "a", ":80"), bound(t, 4, ":81", "[::]:81")}, []string{"systemd:a"}, "a=3 -4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []sockets.Addr
			for _, text := range tt.want {
				want = append(want, mustParse(t, text))
			}
			c, err := sockets.Plan(tt.open, want)
			if text, isError := strings.CutPrefix(tt.text, "error "); isError {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Fatalf("got %q, %v\nwant an error with %q", planText(c), err, text)
				}
				if got, want := errors.Is(err, sockets.ErrNotNamed), strings.Contains(text, "is not named"); got != want {
					t.Errorf("%s: is ErrNotNamed %t, want %t", text, got, want)
				}
				if got, want := errors.Is(err, sockets.ErrNeedsRestart), strings.Contains(text, "needs a restart"); got != want {
					t.Errorf("errors.Is(ErrNeedsRestart) = %t, want %t", got, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := planText(c); got != tt.text {
				t.Errorf("\n got %q\nwant %q", got, tt.text)
			}
		})
	}
}

// Each open socket is either kept or removed, once.
func TestPlanLosesNoSocket(t *testing.T) {
	texts := []string{":80", ":0", "127.0.0.1:81", "unix:/a", "unix:@a"}
	for openSet := range 1 << len(texts) {
		for wantSet := range 1 << len(texts) {
			var open []*sockets.Socket
			var want []sockets.Addr
			for i, text := range texts {
				if openSet>>i&1 == 1 {
					open = append(open, bound(t, 10+i, text, text))
				}
				if wantSet>>i&1 == 1 {
					want = append(want, mustParse(t, text))
				}
			}
			c, err := sockets.Plan(open, want)
			if err != nil {
				t.Fatal(err)
			}
			var seen []*sockets.Socket
			for _, p := range c.Set {
				if p.Open != nil {
					seen = append(seen, p.Open)
				}
			}
			seen = append(seen, c.Remove...)
			for _, s := range open {
				if n := len(slices.DeleteFunc(slices.Clone(seen), func(x *sockets.Socket) bool { return x != s })); n != 1 {
					t.Fatalf("open %b, want %b: %s is there %d times", openSet, wantSet, s.Addr, n)
				}
			}
			if len(c.Set) != len(want) {
				t.Fatalf("open %b, want %b: %d places for %d addresses", openSet, wantSet, len(c.Set), len(want))
			}
		}
	}
}
