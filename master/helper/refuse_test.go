package helper

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/notify"
	"prefork/ipc/store"
)

// placed is a place with a real listener and lifeline, and a descriptor for
// the store that leads nowhere.
type placed struct {
	*place
	path string
	life *os.File // the master's end
}

func newPlace(t *testing.T) *placed {
	t.Helper()
	p := &placed{place: &place{id: 1, drain: time.Minute, told: make(chan os.Signal, 1)}}
	p.path = filepath.Join(t.TempDir(), "s")
	var err error
	if p.listener, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err == nil {
		err = unix.Bind(p.listener, &unix.SockaddrUnix{Name: p.path})
	}
	if err == nil {
		err = unix.Listen(p.listener, 10)
	}
	if err == nil {
		p.place.store, err = unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	}
	if err == nil {
		p.lifeline, p.life, err = os.Pipe()
	}
	if err == nil {
		p.notify, err = notify.Open("")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Close(p.listener)
		_ = unix.Close(p.place.store)
		_ = p.life.Close()
		_ = p.lifeline.Close()
	})
	return p
}

func (p *placed) ask(t *testing.T) string {
	t.Helper()
	c, err := net.Dial("unix", p.path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type refused struct {
	s   *store.Embedded
	err error
}

func (p *placed) refusing(reason error) <-chan refused {
	done := make(chan refused, 1)
	go func() {
		s, err := p.refuse(store.Options{ID: 1}, reason)
		done <- refused{s, err}
	}()
	return done
}

func (p *placed) wait(t *testing.T, done <-chan refused) refused {
	t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
		return refused{}
	}
}

func TestWithoutMemoryEachClientIsToldWhy(t *testing.T) {
	for what, end := range map[string]func(*placed){
		"told":           func(p *placed) { p.told <- unix.SIGTERM },
		"without master": func(p *placed) { _ = p.life.Close() },
	} {
		p := newPlace(t)
		done := p.refusing(errors.New("open store: 64MiB\nare too much"))
		for range 3 {
			if got := p.ask(t); got != "-ERR open store: 64MiB are too much\r\n" {
				t.Errorf("%s: a client was told %q", what, got)
			}
		}
		end(p)
		if r := p.wait(t, done); r.s != nil || r.err != nil {
			t.Errorf("%s: %+v", what, r)
		}
	}
}

func TestTheStoreIsTriedAgainAsClientsCome(t *testing.T) {
	p := newPlace(t)
	done := p.refusing(errors.New("not yet"))
	segment, err := store.Create(store.Config{Size: store.MinSize})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = segment.Close() }()
	if err := unix.Dup3(segment.FD(), p.place.store, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	for {
		if got := p.ask(t); !strings.HasPrefix(got, "-ERR not yet") {
			t.Fatalf("told %q", got)
		}
		select {
		case r := <-done:
			if r.err != nil || r.s == nil {
				t.Fatalf("%+v", r)
			}
			_ = r.s.Close()
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func TestNobodyButAMasterStartsIt(t *testing.T) {
	var text strings.Builder
	if code := Store(nil, "v1", &text); code != 1 || text.String() != "store helper: a master starts the store helper, and nobody else does\n" {
		t.Errorf("exit %d: %s", code, &text)
	}
	if code := Store([]string{"-nonsense"}, "v1", io.Discard); code != 1 {
		t.Errorf("exit %d", code)
	}
}

func TestALateClientEndsItsWaitWithTheDrainTimeout(t *testing.T) {
	p := newPlace(t)
	p.drain = 30 * time.Millisecond
	p.last(ctx, func() bool { return true })
	left := 3
	p.drain = time.Hour
	p.last(ctx, func() bool { left--; return left > 0 })
	p.told <- unix.SIGTERM
	p.last(ctx, func() bool { return true })
}
