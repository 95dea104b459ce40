//go:build unix

package redis_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"prefork/ipc/redis"
	"prefork/ipc/store"
)

// fake is a server that answers as a test wants it to.
type fake struct {
	net.Listener
	first  string // said before anything is asked
	answer func(w io.Writer, command []string) (hangUp bool)
}

// startFake serves until the test ends.
func startFake(t testing.TB, first string, answer func(w io.Writer, command []string) bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f := &fake{l, first, answer}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "redis://" + l.Addr().String() + quick
}

func (f *fake) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	if f.first != "" {
		_, _ = io.WriteString(c, f.first)
		return
	}
	r := bufio.NewReader(c)
	for {
		command, err := readCommand(r)
		if err != nil {
			return
		}
		if f.answer(c, command) {
			return
		}
	}
}

// readCommand reads an array of strings.
func readCommand(r *bufio.Reader) ([]string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	if err != nil {
		return nil, err
	}
	command := make([]string, n)
	for i := range command {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, err
		}
		size, err := strconv.Atoi(strings.TrimSpace(line[1:]))
		if err != nil {
			return nil, err
		}
		text := make([]byte, size+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		command[i] = string(text[:size])
	}
	return command, nil
}

// greets answers what a connection begins with, and leaves the rest to answer.
func greets(answer func(w io.Writer, command []string) bool) func(io.Writer, []string) bool {
	return func(w io.Writer, command []string) bool {
		switch strings.ToLower(command[0]) {
		case "hello":
			_, _ = io.WriteString(w, "-ERR unknown command 'HELLO'\r\n")
		case "info":
			_, _ = io.WriteString(w, "$0\r\n\r\n")
		default:
			return answer(w, command)
		}
		return false
	}
}

func says(text string) func(io.Writer, []string) bool {
	return greets(func(w io.Writer, _ []string) bool {
		_, _ = io.WriteString(w, text)
		return false
	})
}

func TestErrorRepliesHaveTheirMeaning(t *testing.T) {
	for _, c := range []struct {
		reply   string
		want    error
		breaker bool
	}{
		{"-LOADING Redis is loading the dataset in memory", store.ErrUnavailable, true},
		{"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", store.ErrUnavailable, true},
		{"-CLUSTERDOWN The cluster is down", store.ErrUnavailable, true},
		{"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", store.ErrUnavailable, true},
		{"-READONLY You can't write against a read only replica.", store.ErrUnavailable, false},
		{"-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.", store.ErrUnavailable, false},
		{"-NOREPLICAS Not enough good replicas to write.", store.ErrUnavailable, false},
		{"-NOPERM User app has no permissions to run the 'set' command", store.ErrUnavailable, false},
		{"-TRYAGAIN Multiple keys request during rehashing of slot", store.ErrUnavailable, false},
		{"-OOM command not allowed when used memory > 'maxmemory'.", store.ErrFull, false},
		{"-ERR Error running script (call to f_1): @user_script:1: OOM command not allowed when used memory > 'maxmemory'.", store.ErrFull, false},
	} {
		word, _, _ := strings.Cut(strings.TrimPrefix(c.reply, "-"), " ")
		t.Run(word, func(t *testing.T) {
			s := open(t, startFake(t, "", says(c.reply+"\r\n")))
			for range 4 {
				start := time.Now()
				_, err := s.Set(ctx, "k", nil, store.Write{})
				if !errors.Is(err, c.want) || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "127.0.0.1:") {
					t.Fatalf("%v", err)
				}
				if took := time.Since(start); took > slack {
					t.Errorf("took %v", took)
				}
			}
			if open := s.Health().State == redis.StateOpen; open != c.breaker {
				t.Errorf("%+v", s.Health())
			}
		})
	}
}

// What is wrong for good is said when the store is opened.
func TestOpenRefusesWhatDoesNotMendItself(t *testing.T) {
	server := startServer(t, "--requirepass", "right")
	for _, c := range []struct{ url, want string }{
		{"redis://127.0.0.1:%d", "NOAUTH"},
		{"redis://:secret@127.0.0.1:%d", "WRONGPASS"},
		{"redis://nobody:secret@127.0.0.1:%d", "WRONGPASS"},
	} {
		_, err := redis.Open(ctx, fmt.Sprintf(c.url, server.port))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", c.url, err)
		}
	}
	s := open(t, fmt.Sprintf("redis://:right@127.0.0.1:%d", server.port))
	_, err := s.Set(ctx, "k", nil, store.Write{})
	must(t, err)
	// At run: the password is changed, and connections are closed.
	server.cli("-a", "right", "--no-auth-warning", "config", "set", "requirepass", "other")
	server.cli("-a", "other", "--no-auth-warning", "client", "kill", "type", "normal")
	if _, err = s.Set(ctx, "k", nil, store.Write{}); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("%v", err)
	}
}

// The socket of a pool's own store answers, and has no scripts.
func TestOpenRefusesAServerWithoutScripts(t *testing.T) {
	for _, reply := range []string{"-ERR unknown command 'evalsha'\r\n", "-ERR this store runs no Lua\r\n"} {
		s, err := redis.Open(ctx, startFake(t, "", says(reply)))
		if err == nil || !strings.Contains(err.Error(), "runs no scripts") {
			t.Errorf("%v", err)
			_ = s.Close()
		}
	}
}

func TestTooManyClientsIsSaid(t *testing.T) {
	s := open(t, startFake(t, "-ERR max number of clients reached\r\n", nil))
	_, _, err := s.Get(ctx, "k")
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "max number of clients reached") {
		t.Fatalf("%v", err)
	}
}

// hostile are replies that no Redis gives. None may end the process, take
// more memory than a value has, or be taken for the answer.
var hostile = map[string]string{
	"HugeString":      "$999999999999\r\n",
	"LargeString":     "$1073741824\r\n",
	"NegativeString":  "$-7\r\n",
	"HugeArray":       "*999999999\r\n",
	"NegativeArray":   "*-9\r\n",
	"DeepArrays":      strings.Repeat("*1\r\n", 100000),
	"Push":            ">2\r\n+invalidate\r\n*0\r\n",
	"Attribute":       "|1\r\n+ttl\r\n:3600\r\n+OK\r\n",
	"Map":             "%1\r\n+a\r\n+b\r\n",
	"NotANumber":      "$x\r\n",
	"HTTP":            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
	"SSH":             "SSH-2.0-OpenSSH_9.2p1\r\n",
	"EmptyLine":       "\r\n",
	"BareNewline":     "+OK\n",
	"EndlessLine":     "+" + strings.Repeat("x", 200000),
	"EndlessNumber":   "$" + strings.Repeat("1", 200000),
	"WrongType":       ":7\r\n",
	"WrongArray":      "*3\r\n:1\r\n:2\r\n:3\r\n",
	"NestedWrong":     "*2\r\n*0\r\n$1\r\nx\r\n",
	"Binary":          "\x16\x03\x01\x02\x00",
	"Null":            "\x00\r\n",
	"StringWithNoEnd": "$3\r\nabcdefgh\r\n",
}

func TestHostileRepliesAreErrors(t *testing.T) {
	for name, reply := range hostile {
		t.Run(name, func(t *testing.T) {
			s := open(t, startFake(t, "", says(reply)))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for op, run := range map[string]func() error{
				"get":   func() error { _, _, err := s.Get(ctx, "k"); return err },
				"set":   func() error { _, err := s.Set(ctx, "k", nil, store.Write{}); return err },
				"swap":  func() error { _, err := s.Set(ctx, "k", nil, store.Write{If: store.IfVersion}); return err },
				"scan":  func() error { _, _, err := s.Scan(ctx, 0, 10); return err },
				"lock":  func() error { _, _, err := s.TryLock(ctx, "l", 0); return err },
				"epoch": func() error { _, err := s.Epoch(ctx, "e"); return err },
			} {
				start := time.Now()
				// A number is an answer that some commands have.
				if err := run(); err == nil && (name != "WrongType" || op != "swap" && op != "epoch") {
					t.Errorf("%s: no error", op)
				}
				if took := time.Since(start); took > 500*time.Millisecond+slack {
					t.Errorf("%s took %v", op, took)
				}
			}
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 100<<20 {
				t.Errorf("%d MiB were allocated", grown>>20)
			}
		})
	}
}

// A reply that never ends is cut.
func TestEndlessReplyIsCut(t *testing.T) {
	s := open(t, startFake(t, "", greets(func(w io.Writer, _ []string) bool {
		_, err := io.WriteString(w, "*60000\r\n")
		for piece := "$1000000\r\n" + strings.Repeat("x", 1000000) + "\r\n"; err == nil; {
			_, err = io.WriteString(w, piece)
		}
		return true
	})))
	_, _, err := s.Scan(ctx, 0, 10)
	if !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("%v", err)
	}
}

// An answer that comes after its question was given up is never taken for
// that of the next one.
func TestLateAnswerIsNotTakenForAnother(t *testing.T) {
	var n atomic.Int32
	url := startFake(t, "", greets(func(w io.Writer, command []string) bool {
		late := n.Add(1)%2 == 1
		key := command[len(command)-2] // evalsha hash 1 key limit
		if late {
			time.AfterFunc(700*time.Millisecond, func() { _, _ = fmt.Fprintf(w, "*2\r\n$%d\r\n%s\r\n:-1\r\n", len(key), key) })
			return false
		}
		_, _ = fmt.Fprintf(w, "*2\r\n$%d\r\n%s\r\n:-1\r\n", len(key), key)
		return false
	}))
	s := open(t, strings.Replace(url, "failures=3", "failures=1000", 1)+"&pool=1")
	answered := 0
	for i := range 8 {
		key := fmt.Sprint("key", i)
		e, found, err := s.Get(ctx, key)
		switch {
		case err != nil && !errors.Is(err, store.ErrUnavailable):
			t.Errorf("%v", err)
		case err == nil && (!found || string(e.Value) != key):
			t.Errorf("%s has the answer of %s", key, e.Value)
		case err == nil:
			answered++
		}
	}
	if answered == 0 {
		t.Error("none was answered")
	}
}
