package main

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzKey: whatever a key holds, what list shows is a line that a terminal may
// see, and gives the key back.
func FuzzKey(f *testing.F) {
	for _, key := range []string{"", "cart/42", `"`, `"a"`, "\x00\xff", " a", "\u202e", "a\nb", `\`} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		shown := showKey(key)
		if got, err := readKey(shown); err != nil || got != key {
			t.Fatalf("%q is shown as %s, which is %q, %v", key, shown, got, err)
		}
		if printable(shown) != shown {
			t.Fatalf("%q is shown as %q", key, shown)
		}
	})
}

// FuzzStoreURL: an address, or an error that does not tell the password.
func FuzzStoreURL(f *testing.F) {
	for _, text := range []string{
		"redis://:hunter2@h:1/2?prefix=a", "unix://:hunter2@/a", "rediss://u:hunter2@[::1]", "redis+cluster://:hunter2@a,b/", "redis://:hunter2@%zz", "://",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "_file=") || strings.Contains(text, "ca=") || strings.Contains(text, "cert=") {
			return // names a file of this machine
		}
		d, err := parseStoreURL(text)
		if err == nil && (d.address == "" || d.network != "unix" && d.network != "tcp") {
			t.Fatalf("%q: %+v", text, d)
		}
		u, parseErr := url.Parse(text)
		if err == nil || parseErr != nil || u.User == nil {
			return
		}
		if password, _ := u.User.Password(); len(password) > 6 && strings.Contains(err.Error(), password) {
			t.Fatalf("%v", err)
		}
	})
}

// FuzzInfo: an INFO gives figures, whatever it says.
func FuzzInfo(f *testing.F) {
	f.Add("# Memory\r\nused_memory:12\r\nmaxmemory:99999999999999999999\r\nkeyspace_hits\r\n")
	f.Add("0")
	f.Fuzz(func(t *testing.T, text string) {
		var b strings.Builder
		if err := writeStats(&b, parseInfo(text)); err != nil && len(parseInfo(text)) > 0 {
			t.Fatal(err)
		}
		if err := writeFigures(&b, parseInfo(text)); err != nil {
			t.Fatal(err)
		}
	})
}
