package sockets_test

import "testing"

func TestOverlaps(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"0.0.0.0:80", "127.0.0.1:80", true},
		{"0.0.0.0:80", "127.0.0.1:81", false},
		{"0.0.0.0:80", "[::1]:80", false},
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.2:80", false},
		{"127.0.0.1:80", "[::ffff:127.0.0.1]:80", true},
		{"[::]:80", "0.0.0.0:80", true},
		{"[::]:80", "127.0.0.1:80", true},
		{"[::]:80?v6only", "0.0.0.0:80", false},
		{"[::]:80?v6only", "127.0.0.1:80", false},
		{"[::]:80?v6only", "[::1]:80", true},
		{"[::1]:80", "127.0.0.1:80", false},
		{":80", "127.0.0.1:80", true},
		{":80", "[::1]:80", true},
		{":80", "[::]:80?v6only", true},
		{":80?v6only", "0.0.0.0:80", false},
		{":80?v6only", "localhost:80", true},
		{"localhost:80", "127.0.0.1:80", true},
		{"localhost:80", "[::1]:80", true},
		{"localhost:80", "10.0.0.1:80", false},
		{"localhost:80", "0.0.0.0:80", true},
		{"web.example:80", "web.example:80", true},
		{"web.example:80", "api.example:80", false},
		{"web.example:80", ":80", true},
		{":0", ":0", false},
		{"127.0.0.1:0", ":0", false},
		{"unix:/a", "unix:/a?mode=0600", true},
		{"unix:/a", "unix:@/a", false},
		{"unix:/a", "unix:/b", false},
		{"unix:@a", "unix:@a", true},
		{"unix:/a", ":80", false},
		{"systemd:a", "systemd:a", true},
		{"systemd:a", "systemd:b", false},
		{"systemd:a", ":80", false},
	} {
		a, b := mustParse(t, tt.a), mustParse(t, tt.b)
		if got := a.Overlaps(b); got != tt.want {
			t.Errorf("%s overlaps %s: %t, want %t", a, b, got, tt.want)
		}
		if got := b.Overlaps(a); got != tt.want {
			t.Errorf("%s overlaps %s: %t, want %t", b, a, got, tt.want)
		}
	}
}

// What a passed socket overlaps is its address, not its name.
func TestOverlapsOfAPassedSocketIsThatOfItsAddress(t *testing.T) {
	passed := mustParse(t, "0.0.0.0:80")
	passed.Systemd = "web"
	if !passed.Overlaps(mustParse(t, "127.0.0.1:80")) {
		t.Error("passed 0.0.0.0:80 does not overlap 127.0.0.1:80")
	}
	if got, want := passed.Bound(), "0.0.0.0:80"; got != want {
		t.Errorf("Bound() = %q, want %q", got, want)
	}
	if got, want := passed.Key(), "systemd:web"; got != want {
		t.Errorf("Key() = %q, want %q", got, want)
	}
}
