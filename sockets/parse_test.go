package sockets_test

import (
	"strings"
	"testing"
	"time"

	"prefork/sockets"
)

func mustParse(t testing.TB, text string) sockets.Addr {
	t.Helper()
	a, err := sockets.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestParseReadsEveryForm(t *testing.T) {
	tcp := func(host, port string) sockets.Addr {
		return sockets.Addr{Network: sockets.NetworkTCP, Host: host, Port: port}
	}
	path := func(p string) sockets.Addr { return sockets.Addr{Network: sockets.NetworkUnix, Path: p} }
	abstract := func(p string) sockets.Addr {
		return sockets.Addr{Network: sockets.NetworkUnix, Path: p, Abstract: true}
	}
	for _, tt := range []struct {
		text string
		want sockets.Addr
		key  string
	}{
		{"127.0.0.1:8080", tcp("127.0.0.1", "8080"), "tcp://127.0.0.1:8080"},
		{":8080", tcp("", "8080"), "tcp://:8080"},
		{":0", tcp("", "0"), "tcp://:0"},
		{":00080", tcp("", "80"), "tcp://:80"},
		{"tcp://:65535", tcp("", "65535"), "tcp://:65535"},
		{"tcp://127.0.0.1:80", tcp("127.0.0.1", "80"), "tcp://127.0.0.1:80"},
		{"[::1]:80", tcp("::1", "80"), "tcp://[::1]:80"},
		{"[0:0:0:0:0:0:0:1]:80", tcp("::1", "80"), "tcp://[::1]:80"},
		{"[::ffff:127.0.0.1]:80", tcp("127.0.0.1", "80"), "tcp://127.0.0.1:80"},
		{"[fe80::1%eth0]:80", tcp("fe80::1%eth0", "80"), "tcp://[fe80::1%eth0]:80"},
		{"LocalHost:80", tcp("localhost", "80"), "tcp://localhost:80"},
		{"a-b.example:80", tcp("a-b.example", "80"), "tcp://a-b.example:80"},
		{"unix:/run/app.sock", path("/run/app.sock"), "unix:/run/app.sock"},
		{"unix:///run/app.sock", path("/run/app.sock"), "unix:/run/app.sock"},
		{"unix:/run//./app.sock", path("/run/app.sock"), "unix:/run/app.sock"},
		{"unix:/" + strings.Repeat("p", 106), path("/" + strings.Repeat("p", 106)), "unix:/" + strings.Repeat("p", 106)},
		{"unix:@app", abstract("app"), "unix:@app"},
		{"unix:@/a/../b", abstract("/a/../b"), "unix:@/a/../b"},
		{"unix:@" + strings.Repeat("n", 106), abstract(strings.Repeat("n", 106)), "unix:@" + strings.Repeat("n", 106)},
		{"systemd:web", sockets.Addr{Systemd: "web"}, "systemd:web"},
		{"systemd:my web.socket", sockets.Addr{Systemd: "my web.socket"}, "systemd:my web.socket"},
	} {
		got, err := sockets.Parse(tt.text)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.text, err)
			continue
		}
		tt.want.Text = tt.text
		if got != tt.want {
			t.Errorf("Parse(%q)\n got %+v\nwant %+v", tt.text, got, tt.want)
		}
		if got.Key() != tt.key {
			t.Errorf("Parse(%q).Key() = %q, want %q", tt.text, got.Key(), tt.key)
		}
	}
}

func TestParseReadsEveryOption(t *testing.T) {
	for _, tt := range []struct {
		text string
		want sockets.Options
	}{
		{":80?name=web", sockets.Options{Name: "web"}},
		{":80?name=a=b c", sockets.Options{Name: "a=b c"}},
		{":80?backlog=4096", sockets.Options{Backlog: 4096}},
		{":80?keepalive", sockets.Options{KeepAlive: sockets.KeepAliveOn}},
		{":80?keepalive=true", sockets.Options{KeepAlive: sockets.KeepAliveOn}},
		{":80?keepalive=false", sockets.Options{KeepAlive: sockets.KeepAliveOff}},
		{":80?keepalive=1m30s", sockets.Options{KeepAlive: 90 * time.Second}},
		{":80?defer-accept=3s", sockets.Options{DeferAccept: 3 * time.Second}},
		{":80?fast-open=256", sockets.Options{FastOpen: 256}},
		{":80?v6only&freebind&blocking", sockets.Options{V6Only: true, FreeBind: true, Blocking: true}},
		{"[::]:80?v6only=true&freebind=true&blocking=true", sockets.Options{V6Only: true, FreeBind: true, Blocking: true}},
		{":80?v6only=false&freebind=false&blocking=false", sockets.Options{}},
		{"127.0.0.1:80?accept=rotate", sockets.Options{Accept: sockets.Rotate}},
		{"unix:/s?mode=0660&user=web&group=33", sockets.Options{Mode: 0o660, User: "web", Group: "33"}},
		{"unix:/s?mode=600", sockets.Options{Mode: 0o600}},
		{"unix:/s?backlog=1&blocking&accept=blocking&name=n", sockets.Options{Backlog: 1, Blocking: true, Accept: sockets.Blocking, Name: "n"}},
		{"unix:@s?backlog=1&blocking", sockets.Options{Backlog: 1, Blocking: true}},
		{"systemd:web?name=x&keepalive=9s&backlog=5", sockets.Options{Name: "x", KeepAlive: 9 * time.Second, Backlog: 5}},
	} {
		a, err := sockets.Parse(tt.text)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.text, err)
			continue
		}
		if a.Options != tt.want {
			t.Errorf("Parse(%q)\n got %+v\nwant %+v", tt.text, a.Options, tt.want)
		}
	}
}

// Each error names the address, what is wrong in it, and what would be right.
func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "it is empty: want host:port"},
		{"8080", "port without a colon: want :8080"},
		{"127.0.0.1", "missing port in address: want host:port"},
		{"::1", "brackets, and a port behind it: want [::1]:port"},
		{"::1:80", "an IPv6 address goes in brackets"},
		{"a:80:1", "too many colons in address: want host:port"},
		{"[::1]", "missing port in address"},
		{"[::1", "missing ']' in address"},
		{"[]:80", "nothing between the brackets: want [::]:port, or :port"},
		{"[127.0.0.1]:80", `host "127.0.0.1": brackets are for IPv6`},
		{"[localhost]:80", `host "localhost": want an IPv6 address between brackets`},
		{"[fe80::1%a b]:80", "the zone is not the name of an interface"},
		{"*:80", `host "*": want :port for all addresses`},
		{"127.0.0.256:80", `host "127.0.0.256": want an IP address or a host name`},
		{"127.1:80", `host "127.1": want an IP address`},
		{"a..b:80", `host "a..b": want`},
		{"a b:80", `host "a b": want`},
		{"http://a:80", `scheme "http" is not known: want host:port`},
		{"tcp://", "missing port in address"},
		{":", `port "": want a number from 0 to 65535`},
		{":http", `port "http": want a number from 0 to 65535`},
		{":-1", `port "-1": want a number`},
		{":+1", `port "+1": want a number`},
		{":65536", "port 65536: want 0 to 65535"},
		{":99999999999999999999", "port 99999999999999999999: want 0 to 65535"},
		{"unix:", `path "" is not absolute: want unix:/path or unix:@name`},
		{"unix:app.sock", `path "app.sock" is not absolute`},
		{"unix:/", `path "/" is a folder`},
		{"unix:/run/", `path "/run/" is a folder: want the name of a socket in it`},
		{"unix:/.", `path "/." is a folder`},
		{"unix:/run/../a", `path "/run/../a" has .. in it`},
		{"unix:/a\nb", "path has a control character in it"},
		{"unix:/a\x00b", "path has a control character in it"},
		{"unix:/" + strings.Repeat("p", 107), "path of 108 bytes (max 107)"},
		{"unix:@", "abstract name is empty: want unix:@name"},
		{"unix:@" + strings.Repeat("n", 107), "abstract name of 107 bytes (max 106)"},
		{"systemd:", "systemd name is empty"},
		{"systemd:a:b", `systemd name "a:b" has ':' in it`},
		{"systemd:" + strings.Repeat("n", 256), "systemd name of 256 bytes (max 255)"},

		{":80?", `option "" is not known: want name, backlog`},
		{":80?bakclog=1", `option "bakclog" is not known: want name, backlog, keepalive`},
		{":80?name", `option "name": want printable ASCII`},
		{":80?name=", "option name= has no value: want printable ASCII"},
		{":80?name=a:b", `option "name=a:b": want printable ASCII without : & ?`},
		{":80?backlog", `option "backlog": want 1 to 2147483647`},
		{":80?backlog=0", `option "backlog=0": want 1 to 2147483647`},
		{":80?backlog=-1", `option "backlog=-1": want`},
		{":80?backlog=2147483648", `option "backlog=2147483648": want`},
		{":80?backlog=1&backlog=2", "option backlog is given twice: want it once"},
		{":80?keepalive=maybe", "want true, false, or 1s to 32767s in whole seconds"},
		{":80?keepalive=1500ms", `option "keepalive=1500ms": want true, false`},
		{":80?keepalive=0s", `option "keepalive=0s": want true, false`},
		{":80?keepalive=32768s", `option "keepalive=32768s": want`},
		{":80?defer-accept=601s", "want 1s to 600s in whole seconds"},
		{":80?defer-accept", `option "defer-accept": want 1s`},
		{":80?fast-open=x", "want the length of the queue"},
		{":80?blocking=yes", `option "blocking=yes": want true or false`},
		{":80?accept", `option "accept": want auto, exclusive, fair, rotate, naive, blocking`},
		{":80?accept=best", `option "accept=best": want auto, exclusive`},
		{":80?mode=0660", "option mode does not fit a TCP address: want name,"},
		{"127.0.0.1:80?v6only", "option v6only does not fit an IPv4 address"},
		{"127.0.0.1:80?user=a", "option user does not fit an IPv4 address"},
		{"unix:/s?v6only", "option v6only does not fit a Unix path"},
		{"unix:/s?keepalive", "option keepalive does not fit a Unix path"},
		{"unix:@s?mode=0600", "option mode does not fit an abstract Unix address"},
		{"systemd:web?mode=0600", "option mode does not fit a socket that systemd makes"},
		{"systemd:web?freebind", "option freebind does not fit a socket that systemd makes"},
		{"unix:/s?mode=0888", "want permissions in octal, 0001 to 0777"},
		{"unix:/s?mode=0", "want permissions in octal"},
		{"unix:/s?mode=1777", "want permissions in octal"},
		{"unix:/s?user=a b", `option "user=a b": want a user's name or number`},
		{"unix:/s?user=-1", `option "user=-1": want a user's name or number`},
		{"unix:/s?user=+1", `option "user=+1": want`},
		{"unix:/s?user=4294967295", `option "user=4294967295": want`},
		{"unix:/s?group=99999999999", `option "group=99999999999": want a group's name or number`},
		{"unix:/s?group=", "option group= has no value: want a group's name or number"},
	} {
		a, err := sockets.Parse(tt.text)
		if err == nil {
			t.Errorf("Parse(%q) = %+v, want an error with %q", tt.text, a, tt.want)
			continue
		}
		if a != (sockets.Addr{}) {
			t.Errorf("Parse(%q) gives an address beside its error: %+v", tt.text, a)
		}
		if !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "address \"") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Parse(%q)\n got %q\nwant it with %q", tt.text, err, tt.want)
		}
	}
}

func TestStringIsCanonical(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"tcp://127.0.0.1:080", "127.0.0.1:80"},
		{"tcp://UNIX:80", "tcp://unix:80"},
		{"tcp://systemd:80", "tcp://systemd:80"},
		{"[0::1]:80?blocking=true&name=web", "[::1]:80?name=web&blocking"},
		{":80?freebind=false", ":80"},
		{":80?keepalive=2m&backlog=010", ":80?backlog=10&keepalive=120s"},
		{":80?keepalive=true", ":80?keepalive"},
		{":80?keepalive=false", ":80?keepalive=false"},
		{"unix:///s?group=g&user=u&mode=660", "unix:/s?mode=0660&user=u&group=g"},
		{"unix:@s?accept=fair", "unix:@s?accept=fair"},
		{"systemd:web?defer-accept=1s", "systemd:web?defer-accept=1s"},
	} {
		if got := mustParse(t, tt.text).String(); got != tt.want {
			t.Errorf("Parse(%q).String() = %q, want %q", tt.text, got, tt.want)
		}
	}
}

// FuzzParse: whatever is accepted has a canonical text, which is accepted too
// and means the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"127.0.0.1:8080", ":0", "tcp://[::1]:80?v6only", "[fe80::1%eth0]:80", "localhost:80?backlog=1&name=a=b",
		"unix:/run/a.sock?mode=0660&user=u&group=g", "unix:@a?blocking", "systemd:web?keepalive=9s", "::1:80",
		":80?keepalive=false&fast-open=0&defer-accept=1m", "unix:////a", "[::ffff:1.2.3.4]:1", "http://x", "?", "unix:/\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := sockets.Parse(text)
		if err != nil {
			return
		}
		canonical := a.String()
		b, err := sockets.Parse(canonical)
		if err != nil {
			t.Fatalf("Parse(%q) is fine, of its canonical text %q it is not: %v", text, canonical, err)
		}
		if again := b.String(); again != canonical {
			t.Fatalf("%q becomes %q, and that %q", text, canonical, again)
		}
		a.Text, b.Text = "", ""
		if a != b {
			t.Fatalf("%q and %q differ:\n%+v\n%+v", text, canonical, a, b)
		}
		if a.Network == sockets.NetworkUnix && len(a.Path) > 107 {
			t.Fatalf("path of %d bytes", len(a.Path))
		}
		if a.Port != "0" && !a.Overlaps(b) {
			t.Fatalf("%q does not overlap itself", canonical)
		}
	})
}
