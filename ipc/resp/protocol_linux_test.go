package resp_test

import (
	"strings"
	"testing"

	"prefork/ipc/resp"
	"prefork/ipc/store"
)

// malformedCases are those of valkey's tests/unit/protocol.tcl and a few more:
// what is sent, and what the last reply has in it. closes: nothing is executed
// after it and the connection ends.
var malformedCases = []struct {
	name, send, want string
	closes, inline   bool // inline: only where lines of words are taken
}{
	{"an empty query", "\r\n*1\r\n$4\r\nping\r\n", "+PONG", false, false},
	{"many empty queries", strings.Repeat("\r\n\n", 5000) + "*1\r\n$4\r\nping\r\n", "+PONG", false, false},
	{"a negative multibulk length", "*-10\r\n*1\r\n$4\r\nping\r\n", "+PONG", false, false},
	{"a null multibulk", "*-1\r\n*1\r\n$4\r\nping\r\n", "+PONG", false, false},
	{"a multibulk of nothing", "*0\r\n*1\r\n$4\r\nping\r\n", "+PONG", false, false},
	{"a multibulk length out of range", "*3000000000\r\n", "-ERR Protocol error: invalid multibulk length", true, false},
	{"a multibulk length of 2^31", "*2147483648\r\n", "-ERR Protocol error: invalid multibulk length", true, false},
	{"a multibulk length of 2^63", "*9223372036854775808\r\n", "-ERR Protocol error: invalid multibulk length", true, false},
	{"a wrong payload header", "*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "-ERR Protocol error: expected '$', got 'f'", true, false},
	{"a negative payload length", "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$-10\r\n", "-ERR Protocol error: invalid bulk length", true, false},
	{"a payload length of -1", "*2\r\n$3\r\nGET\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length", true, false},
	{"a payload length out of range", "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$2000000000\r\n", "-ERR Protocol error: invalid bulk length", true, false},
	{"a payload length of 2^63-1", "*1\r\n$9223372036854775807\r\nabc\r\n", "-ERR Protocol error: invalid bulk length", true, false},
	{"a payload length of 2^64", "*1\r\n$18446744073709551616\r\n", "-ERR Protocol error: invalid bulk length", true, false},
	{"a payload length that is no number", "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$blabla\r\n", "-ERR Protocol error: invalid bulk length", true, false},
	{"a multibulk without bulks", "*1\r\nfoo\r\n", "-ERR Protocol error: expected '$', got 'f'", true, false},
	{"a nested multibulk", "*2\r\n*1\r\n$4\r\nPING\r\n", "-ERR Protocol error: expected '$', got '*'", true, false},
	{"an integer as an argument", "*1\r\n:1\r\n", "-ERR Protocol error: expected '$', got ':'", true, false},
	{"a line feed alone", "*1\n$4\nPING\n", "-ERR Protocol error: invalid multibulk length", true, false},
	{"too many arguments", "*4\r\n$4\r\nping\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n", "-ERR wrong number of arguments for 'ping' command", false, false},
	{"quotes of both kinds", "set \"\"\"tes\"t-'k'e\"y\" \"test\"'-'value\r\n", "-ERR Protocol error: unbalanced quotes in request", true, true},
	{"a quoted value", "set \"test-key\" 'test-value'\r\nget test-key\r\n", "test-value", false, true},
	{"single quotes that are not closed", "set foo 'b'a'r\r\nping\r\n", "-ERR Protocol error: unbalanced quotes in request", true, true},
	{"double quotes that are not closed", "set foo \"b\"a\"r\r\nping\r\n", "-ERR Protocol error: unbalanced quotes in request", true, true},
	{"a multibulk length, then x LF", "*3x\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n", "-ERR Protocol error: invalid multibulk length", true, false},
	{"a multibulk length, then CR x", "*3\rx$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n", "-ERR Protocol error: invalid CRLF in request", true, false},
	{"a bulk length, then x LF", "*3\r\n$3x\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n", "-ERR Protocol error: invalid bulk length", true, false},
	{"a bulk length, then CR x", "*3\r\n$3\rxSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n", "-ERR Protocol error: invalid CRLF in request", true, false},
	{"a name, then CR x", "*3\r\n$3\r\nSET\rx$3\r\nkey\r\n$5\r\nvalue\r\n", "-ERR Protocol error: invalid CRLF in request", true, false},
	{"a name, then xx", "*3\r\n$3\r\nSETxx$3\r\nkey\r\n$5\r\nvalue\r\n", "-ERR Protocol error: invalid CRLF in request", true, false},
	{"a key, then x LF", "*3\r\n$3\r\nSET\r\n$3\r\nkeyx\n$5\r\nvalue\r\n", "-ERR Protocol error: invalid CRLF in request", true, false},
	{"a value, then CR x", "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\rx", "-ERR Protocol error: invalid CRLF in request", true, false},
	{"a value, then xx", "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvaluexx", "-ERR Protocol error: invalid CRLF in request", true, false},
	{"desync by a zero byte", "\x00" + strings.Repeat("A", 65*1024), "-ERR Protocol error", true, false},
	{"desync by a zero multibulk", "*\x00" + strings.Repeat("A", 65*1024), "-ERR Protocol error", true, false},
	{"desync by a zero bulk", "$\x00" + strings.Repeat("A", 65*1024), "-ERR Protocol error", true, false},
	{"desync by a zero bulk length", "*1\r\n$\x00" + strings.Repeat("A", 65*1024), "-ERR Protocol error", true, false},
	{"a multibulk length that does not end", "*" + strings.Repeat("1", 70*1024), "-ERR Protocol error", true, false},
	{"a line that does not end", strings.Repeat("A", 70*1024), "-ERR Protocol error", true, false},
	{"a large number of arguments", "*20001\r\n$4\r\nmset\r\n" + strings.Repeat("$1\r\nk\r\n$1\r\nv\r\n", 10000), "+OK", false, false},
	{"an unknown command", "*1\r\n$3\r\nfoo\r\n", "-ERR unknown command 'foo', with args beginning with: ", false, false},
	{"a command of no bytes", "*1\r\n$0\r\n\r\n", "-ERR unknown command '', with args beginning with: ", false, false},
}

func TestMalformedInputIsAnsweredLikeRedisAndCloses(t *testing.T) {
	for _, inline := range []bool{false, true} {
		path := serve(t, store.Private(store.Config{}), resp.Options{Inline: inline})
		for _, row := range malformedCases {
			if row.inline && !inline {
				continue
			}
			t.Run(row.name, func(t *testing.T) {
				w := dial(t, path)
				go func() { _, _ = w.Write([]byte(row.send + "*1\r\n$4\r\nquit\r\n")) }() // it may be closed meanwhile
				got := w.rest()
				lines := strings.Split(strings.TrimSuffix(got, "\r\n"), "\r\n")
				last := lines[len(lines)-1]
				if closed := last != "+OK" || len(lines) < 2; closed != row.closes {
					t.Fatalf("closed %v: %q", closed, got)
				}
				if !row.closes {
					last = lines[len(lines)-2]
				}
				if !strings.HasPrefix(last, row.want) {
					t.Errorf("%q, want %q", got, row.want)
				}
			})
		}
	}
}

// TestMalformedInputIsAnsweredAsByRedis has Redis read the same; it is laxer
// about CR LF than its successors, and reads on where no answer can matter.
func TestMalformedInputIsAnsweredAsByRedis(t *testing.T) {
	redis := redisServer(t)
	for _, row := range malformedCases {
		if strings.Contains(row.want, "CRLF") || strings.Contains(row.name, "LF") || strings.Contains(row.name, "line feed") || strings.Contains(row.name, "not end") {
			continue
		}
		w := dial(t, redis)
		go func() { _, _ = w.Write([]byte(row.send + "*1\r\n$4\r\nquit\r\n")) }()
		if got := w.rest(); !strings.Contains(got, row.want) {
			t.Errorf("%s: Redis answers %q, we %q", row.name, got, row.want)
		}
	}
}

func TestLinesOfWordsAreRefusedWhereTheyAreOff(t *testing.T) {
	w := dial(t, serve(t, store.Private(store.Config{}), resp.Options{}))
	w.send([]byte("PING\r\n"))
	if got := w.rest(); got != "-ERR Protocol error: expected '*', got 'P'\r\n" {
		t.Errorf("%q", got)
	}
}

func TestWebBrowsersAreClosedWithoutAnAnswer(t *testing.T) {
	for _, inline := range []bool{false, true} {
		reasons := make(chan string, 10)
		s := store.Private(store.Config{})
		path := serve(t, s, resp.Options{Inline: inline, Closed: func(reason string) { reasons <- reason }})
		for _, request := range []string{"POST / HTTP/1.1\r\nContent-Length: 30\r\n\r\n", "Host: localhost\r\n", "*1\r\n$4\r\nPOST\r\n", "post x\r\n"} {
			w := dial(t, path)
			w.send([]byte(request + "*3\r\n$3\r\nSET\r\n$4\r\nevil\r\n$1\r\n1\r\n"))
			if got := w.rest(); got != "" {
				t.Errorf("%q is answered %q", request, got)
			}
		}
		w := dial(t, path)
		if got := w.do("exists", "evil"); got != ":0\r\n" {
			t.Error("what follows a web browser's request was executed")
		}
		if len(reasons) != 4 {
			t.Errorf("%d clients were named to Closed, want 4", len(reasons))
		}
	}
}
