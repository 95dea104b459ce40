package sockets_test

import (
	"slices"
	"strings"
	"testing"

	"prefork/sockets"
)

func TestParsePassed(t *testing.T) {
	for _, tt := range []struct {
		pid, fds, names string
		want            []string
		err             string
	}{
		{"", "", "", nil, ""},
		{"", "2", "a:b", nil, ""},
		{"42", "", "a:b", nil, ""},
		{"42", "0", "", nil, ""},
		{"42", "0", "a", nil, ""},
		{"43", "2", "a:b", nil, ""},
		{"43", "nonsense", "", nil, ""},
		{"42", "1", "", []string{""}, ""},
		{"42", "2", "", []string{"", ""}, ""},
		{"42", "2", "web:api", []string{"web", "api"}, ""},
		{"42", "2", "web:web", []string{"web", "web"}, ""},
		{"42", "2", ":api", []string{"", "api"}, ""},
		{"42", "1", "my web.socket", []string{"my web.socket"}, ""},

		{"x", "1", "", nil, `LISTEN_PID="x": want the number of a process`},
		{"0", "1", "", nil, `LISTEN_PID="0": want`},
		{"-42", "1", "", nil, `LISTEN_PID="-42": want`},
		{"+42", "1", "", nil, `LISTEN_PID="+42": want`},
		{" 42", "1", "", nil, `LISTEN_PID=" 42": want`},
		{"99999999999", "1", "", nil, `LISTEN_PID="99999999999": want`},
		{"42", "-1", "", nil, `LISTEN_FDS="-1": want a number from 0 to 1048576`},
		{"42", "two", "", nil, `LISTEN_FDS="two": want`},
		{"42", "1.5", "", nil, `LISTEN_FDS="1.5": want`},
		{"42", "1048577", "", nil, `LISTEN_FDS="1048577": want`},
		{"42", "99999999999999999999", "", nil, `LISTEN_FDS="99999999999999999999": want`},
		{"42", "2", "web", nil, "LISTEN_FDNAMES has 1 names for 2 descriptors in LISTEN_FDS"},
		{"42", "1", "web:api", nil, "LISTEN_FDNAMES has 2 names for 1 descriptors"},
		{"42", "1", "a\nb", nil, `LISTEN_FDNAMES: name "a\nb" has '\n' in it`},
		{"42", "1", strings.Repeat("n", 256), nil, "LISTEN_FDNAMES: name of 256 bytes (max 255)"},
	} {
		got, err := sockets.ParsePassed(42, tt.pid, tt.fds, tt.names)
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("LISTEN_PID=%s LISTEN_FDS=%s LISTEN_FDNAMES=%s\n got %q, %v\nwant %q, %q", tt.pid, tt.fds, tt.names, got, err, tt.want, tt.err)
		}
	}
}

// FuzzParsePassed: what is taken has a usable name for each descriptor.
func FuzzParsePassed(f *testing.F) {
	f.Add("42", "2", "a:b")
	f.Add("42", "1", "")
	f.Add("43", "1", "a")
	f.Add("", "", "")
	f.Add("42", "-1", ":")
	f.Add("42", "1048577", "\x00")
	f.Fuzz(func(t *testing.T, pid, fds, names string) {
		got, err := sockets.ParsePassed(42, pid, fds, names)
		if err != nil && got != nil {
			t.Fatalf("%q beside %v", got, err)
		}
		if len(got) > 0 && pid != "42" && strings.TrimLeft(pid, "0") != "42" {
			t.Fatalf("%q passed to process %q", got, pid)
		}
		if names != "" && len(got) > 0 && strings.Join(got, ":") != names {
			t.Fatalf("names %q are read as %q", names, got)
		}
	})
}
