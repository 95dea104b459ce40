package resp

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"prefork/ipc/store"
)

// seeds are inputs that servers of this protocol fell over, or must not: the
// malformed cases of valkey's tests/unit/protocol.tcl, the lengths of
// CVE-2021-32675, and the bulk length at which redcon 1.6.4 panics.
var seeds = []string{
	"*1\r\n$4\r\nPING\r\n",
	"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
	"*1\r\n$9223372036854775807\r\nabc\r\n",
	"*1\r\n$9223372036854775806\r\n", "*1\r\n$18446744073709551615\r\n", "*1\r\n$2147483648\r\n", "*1\r\n$4294967295\r\n",
	"*9223372036854775807\r\n", "*2147483648\r\n", "*-1\r\n", "*-9223372036854775808\r\n", "*1\r\n$-1\r\n", "*1\r\n$-0\r\n", "*0\r\n", "*00\r\n", "*\r\n", "*+1\r\n",
	"\r\n", "\n", "\r\n*1\r\n$4\r\nping\r\n", "*-10\r\n*1\r\n$4\r\nping\r\n", "*3000000000\r\n",
	"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$-10\r\n", "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$2000000000\r\n",
	"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$blabla\r\n", "*1\r\nfoo\r\n",
	"*3x\n$3\r\nSET\r\n", "*3\rx$3\r\nSET\r\n", "*1\r\n$3\rxGET\r\n", "*1\r\n$3\r\nGETxx", "*1\r\n$3\r\nGET\rx", "*1\r\n$3\r\nGETx\n",
	"\x00", "*\x00", "$\x00", "*1\r\n$\x00", "*1\n$4\nPING\n",
	"*1\r\n*1\r\n$4\r\nPING\r\n", "*1\r\n:1\r\n", "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
	"set \"\"\"tes\"t-'k'e\"y\" \"test\"'-'value\r\n", "set foo 'b'a'r\r\n", "set foo \"b\"a\"r\r\n", "set \"a\\x41\\n\\\"\" 'it\\'s'\r\n", "get \"unclosed\r\n", "get \"\\x", "PING\x00more\r\n",
	"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "Host: a\r\n", "GET / HTTP/1.1\r\n",
	"*2\r\n$4\r\nEVAL\r\n$3\r\nfoo\r\n", "*4\r\n$4\r\nSCAN\r\n$1\r\n0\r\n$5\r\nMATCH\r\n$9\r\n[a-\\]*?[^z\r\n",
	"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n$2\r\nPX\r\n$19\r\n9223372036854775807\r\n",
	"*3\r\n$11\r\nINCRBYFLOAT\r\n$1\r\nk\r\n$12\r\n1e2147483647\n\r\n", "*3\r\n$11\r\nINCRBYFLOAT\r\n$1\r\nk\r\n$11\r\n1e999999999\r\n",
}

// commands parses b, given in pieces that end at the cuts, into the arguments
// of its commands; err ends them. What whole takes of it must be the same.
func commands(b []byte, is *bounds, cuts []int) (all [][]string, err error) {
	var p parser
	from := 0
	for _, end := range append(cuts, len(b)) {
		for {
			plain, n := whole(b[from:end], is, nil)
			if p.begun() {
				n = 0 // this is not where a command begins
			}
			complete, err := p.next(b[from:end], is)
			if args := p.args(b[from:end], nil); n > 0 && (!complete || n != p.at || fmt.Sprintf("%q", plain) != fmt.Sprintf("%q", args)) {
				return all, fmt.Errorf("%q: whole takes %d bytes for %q, the parser %v and %d for %q", b[from:end], n, plain, complete, p.at, args)
			}
			if err != nil {
				return all, err
			}
			if !complete {
				break
			}
			var words []string
			for _, arg := range p.args(b[from:end], nil) {
				words = append(words, string(arg))
			}
			all = append(all, words)
			from += p.at
			p.again()
		}
	}
	return all, nil
}

func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), uint16(3), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint16, inline bool) {
		is := bounds{args: 1000, bulk: 1 << 20, inline: inline}
		whole, wholeErr := commands(b, &is, nil)
		pieces, piecesErr := commands(b, &is, []int{int(cut) % (len(b) + 1)})
		if fmt.Sprintf("%q", whole) != fmt.Sprintf("%q", pieces) {
			t.Errorf("whole %q, in two pieces %q", whole, pieces)
		}
		// A piece may end an input that is wrong later on with another word,
		// never with none.
		if (wholeErr == nil) != (piecesErr == nil) {
			t.Errorf("whole %v, in two pieces %v", wholeErr, piecesErr)
		}
		size := 0
		for _, words := range whole {
			for _, w := range words {
				size += len(w)
			}
		}
		if size > len(b) {
			t.Errorf("%d bytes of arguments in %d bytes", size, len(b))
		}
	})
}

// FuzzExecute runs what it parses: no input may end the server, and a reply is
// one that a client can read.
func FuzzExecute(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), true)
	}
	st := store.Private(store.Config{Size: store.MinSize})
	f.Fuzz(func(t *testing.T, b []byte, inline bool) {
		s := newServer(context.Background(), st, Options{Inline: inline})
		c := s.join(0)
		for turns := 0; turns < 1000 && !c.closing; turns++ {
			used, more := s.execute(c, b)
			if b = b[used:]; !more {
				break
			}
		}
		if n := len(s.r.b); n > 0 && !bytes.HasSuffix(s.r.b, []byte("\r\n")) {
			t.Errorf("replies %q do not end a line", s.r.b)
		}
	})
}

func TestArgumentsOfInlineCommandsAreUnquoted(t *testing.T) {
	is := bounds{args: 10, bulk: 100, inline: true}
	for line, want := range map[string]string{
		`get key`:                           `["get" "key"]`,
		"  get \t key  ":                    `["get" "key"]`,
		`set "" ""`:                         `["set" "" ""]`,
		`set "a b" 'c "d"'`:                 `["set" "a b" "c \"d\""]`,
		`set "\x41\n\"\\" '\n\''`:           `["set" "A\n\"\\" "\\n'"]`,
		`set """tes"t-'k'e"y" "te"'-'lue`:   `error Protocol error: unbalanced quotes in request`,
		`set te's't "a`:                     `error Protocol error: unbalanced quotes in request`,
		`set "a"b`:                          `error Protocol error: unbalanced quotes in request`,
		`set a\nb "\xZZ"`:                   `["set" "a\\nb" "xZZ"]`,
		strings.Repeat("a ", 4):             `["a" "a" "a" "a"]`,
		"PING\x00 more":                     `["PING"]`,
		`get te"st"`:                        `["get" "test"]`,
		"get \"\xff\xfe\"":                  `["get" "\xff\xfe"]`,
		"":                                  `[]`,
		"set \"\\r\\t\\b\\a\\q\" '\\\\x41'": `["set" "\r\t\b\aq" "\\\\x41"]`,
	} {
		all, err := commands([]byte(line+"\r\n"), &is, nil)
		got := fmt.Sprintf("error %v", err)
		if err == nil && len(all) == 1 {
			got = fmt.Sprintf("%q", all[0])
		}
		if got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

func TestPatternsMatchAsInRedis(t *testing.T) {
	for _, row := range []struct {
		pattern, key string
		want         bool
	}{
		{"*", "", true},
		{"", "", true},
		{"", "a", false},
		{"a*", "abc", true},
		{"a*c", "abcbc", true},
		{"a*d", "abc", false},
		{"?", "", false},
		{"a?c", "abc", true},
		{"h[ae]llo", "hello", true},
		{"h[^e]llo", "hello", false},
		{"h[a-c]llo", "hbllo", true},
		{"h[c-a]llo", "hbllo", true},
		{"h[a", "ha", true},
		{"h\\*", "h*", true},
		{"h\\*", "hx", false},
		{"[\\]]", "]", true},
		{"a\\", "a\\", true},
		{"*a*b*c*", "xxaxxbxxcxx", true},
		{"**", "x", true},
		{"[", "a", false},
		{"a[]b", "ab", false},
	} {
		if got := match([]byte(row.pattern), row.key); got != row.want {
			t.Errorf("match(%q, %q) = %v", row.pattern, row.key, got)
		}
	}
	stars := strings.Repeat("a*", 2000) + "b"
	if match([]byte(stars), strings.Repeat("a", 20000)) {
		t.Error("it matched")
	}
}
