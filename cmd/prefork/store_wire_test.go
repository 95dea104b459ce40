package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"prefork/ipc/store"
)

func TestRepliesAreRead(t *testing.T) {
	for text, want := range map[string]any{
		"+OK\r\n":                            "OK",
		"-ERR no\r\n":                        wireError("ERR no"),
		":-12\r\n":                           int64(-12),
		"$3\r\na\r\n\r\n":                    []byte("a\r\n"),
		"$0\r\n\r\n":                         []byte{},
		"$-1\r\n":                            nil,
		"*-1\r\n":                            nil,
		"*0\r\n":                             []any{},
		"*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n": []any{[]byte("0"), []any{[]byte("k")}},
	} {
		got, err := readReply(bufio.NewReader(strings.NewReader(text)), maxReplyDepth)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %#v, %v, want %#v", text, got, err, want)
		}
		for n := range text {
			if got, err := readReply(bufio.NewReader(strings.NewReader(text[:n])), maxReplyDepth); err == nil {
				t.Errorf("%q: %#v", text[:n], got)
			}
		}
	}
}

func TestReplyThatIsNoneIsRefusedAtOnce(t *testing.T) {
	for _, text := range []string{
		"\r\n", "HTTP/1.1 400 Bad Request\r\n", "$x\r\n", "$-2\r\n", "$536870913\r\n", "*1048577\r\n", ":99999999999999999999\r\n",
		"+no end\n", "$1\r\nab\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "+" + strings.Repeat("a", 80<<10),
	} {
		if got, err := readReply(bufio.NewReaderSize(strings.NewReader(text), maxReplyLine), maxReplyDepth); !errors.Is(err, errReply) {
			t.Errorf("%.40q: %#v, %v", text, got, err)
		}
	}
}

// FuzzReply reads anything: an error, or a value, and no more memory than the
// text has.
func FuzzReply(f *testing.F) {
	f.Add([]byte("*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"))
	f.Add([]byte("$536870912\r\nabc\r\n"))
	f.Add([]byte("*1048576\r\n*1048576\r\n*1048576\r\n"))
	f.Add([]byte("-MOVED 1 127.0.0.1:1\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := readReply(bufio.NewReader(bytes.NewReader(text)), maxReplyDepth)
		if (v != nil) && err != nil {
			t.Fatalf("%#v and %v", v, err)
		}
	})
}

// oneShot is a server that answers a number of commands on each connection with
// the same text and then closes it.
func oneShot(t *testing.T, answer string, commands int) (url string, accepted func() int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	count := make(chan int, 1)
	count <- 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := <-count
			count <- n + 1
			r := bufio.NewReader(c)
			for range commands {
				if _, err := readReply(r, 1); err != nil { // a command is an array
					break
				}
				_, _ = io.WriteString(c, answer)
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "unix://" + path, func() int { n := <-count; count <- n; return n }
}

func testClient(t *testing.T, url string) *storeClient {
	t.Helper()
	d, err := parseStoreURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := &storeClient{dial: d.dial}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// The store helper may be killed at any moment; another one accepts.
func TestCommandIsMadeAgainWhenTheConnectionBreaks(t *testing.T) {
	url, accepted := oneShot(t, "+OK\r\n", 2) // PING, and one command
	c := testClient(t, url)
	for range 3 {
		if text, err := c.text(t.Context(), answerTimeout, "ECHO", "x"); err != nil || text != "OK" {
			t.Fatalf("%q, %v", text, err)
		}
	}
	if n := accepted(); n != 3 {
		t.Errorf("%d connections", n)
	}
	// A deletion is not made again: it could tell that there was nothing.
	if _, err := c.Delete(t.Context(), "k"); !isBroken(err) {
		t.Errorf("%v", err)
	}
}

func TestServerThatDoesNotAnswerIsLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.sock")
	l, err := net.Listen("unix", path) // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := func() *wire {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return newWire(c)
	}
	if _, err := w().roundTrip(t.Context(), time.Millisecond, []string{"PING"}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w().roundTrip(ctx, time.Hour, []string{"PING"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestKeysInQuotesComeBack(t *testing.T) {
	for _, key := range []string{"a", "a b", "ä", "", " a", "a ", `"`, `"a"`, `a"b`, "\x00\xff", "a\nb", "\u202e", `\`, "日本", strings.Repeat("\xff", 4096)} {
		shown := showKey(key)
		if got, err := readKey(shown); err != nil || got != key || printable(shown) != shown {
			t.Errorf("%q is shown as %s and read as %q, %v", key, shown, got, err)
		}
	}
	for _, text := range []string{`"`, `"a`, `"a"b`, `"\x"`} {
		if key, err := readKey(text); err == nil {
			t.Errorf("%s: %q", text, key)
		}
	}
	if shown := showKey("cart/42"); shown != "cart/42" {
		t.Errorf("%s", shown)
	}
}

func TestStoreURLNeverShowsItsPassword(t *testing.T) {
	for url, want := range map[string]string{
		"redis://h":                 "tcp h:6379",
		"redis://h:7/2":             "tcp h:7 db 2",
		"redis://:secret@h:7":       "tcp h:7 pw",
		"redis://me:secret@[::1]:7": "tcp [::1]:7 user me pw",
		"redis://":                  "tcp 127.0.0.1:6379",
		"rediss://h:7":              "tcp h:7 tls",
		"unix:///a/b.sock":          "unix /a/b.sock",
		"unix://:secret@/a/b?db=3":  "unix /a/b db 3 pw",
		"unix:":                     "",
		"valkeys://h?prefix=a:":     "tcp h:6379 tls prefix a:",
		"redis://h/1?db=2&username=me&timeout=1s": "tcp h:6379 db 2 user me",
		"redis+cluster://h,g:7":                   "",
		"redis+sentinel://:secret@h:1,g:2/name":   "",
		"redis+x":                                 "",
		"unix://me:secret@a/b":                    "",
		"http://me:secret@h":                      "",
		"127.0.0.1:6379":                          "",
		"redis://:secret%zz@h":                    "",
		"redis://:secret@h:port":                  "",
		"://secret":                               "",
	} {
		d, err := parseStoreURL(url)
		if got := describe(d); err == nil && got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", url, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
	}
}

func describe(d storeDialer) string {
	text := d.network + " " + d.address
	for _, part := range []struct {
		there bool
		text  string
	}{{d.database != "", " db " + d.database}, {d.user != "", " user " + d.user}, {d.password != "", " pw"}, {d.tls != nil, " tls"}, {d.prefix != "", " prefix " + d.prefix}} {
		if part.there {
			text += part.text
		}
	}
	return text
}

// Values may be as large as a store takes, and hold anything.
func TestClientMovesEveryValue(t *testing.T) {
	s, url := testStore(t)
	c := testClient(t, url)
	for _, n := range []int{0, 1, 65535, 65536, 300000} {
		value := bytes.Repeat([]byte("\r\n$"), n)[:n]
		key := fmt.Sprintf("k\x00%d\r\n", n)
		if _, err := c.Set(t.Context(), key, value, store.Write{TTL: time.Hour}); err != nil {
			t.Fatal(err)
		}
		e, found, err := c.Get(t.Context(), key)
		if err != nil || !found || !bytes.Equal(e.Value, value) || e.TTL > time.Hour || e.TTL < time.Minute {
			t.Errorf("%d bytes: %d, %s, %v, %v", n, len(e.Value), e.TTL, found, err)
		}
	}
	if st, err := s.Stats(t.Context()); err != nil || st.Entries != 5 {
		t.Errorf("%+v, %v", st, err)
	}
}
