//go:build unix

package redis_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"prefork/ipc/store"
)

// proxy stands between a store and its server and does to the answers what
// networks do.
type proxy struct {
	addr string

	piece atomic.Int64 // bytes passed on at once; 0: all
	delay atomic.Int64 // ns before each piece
	cut   atomic.Int64 // bytes after which a connection is reset; 0: never
	mute  atomic.Bool  // nothing is passed on, nothing is closed
}

func startProxy(t testing.TB, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{addr: l.Addr().String()}
	var mu sync.Mutex
	var open []net.Conn
	done := make(chan struct{})
	var all sync.WaitGroup
	go func() {
		defer close(done)
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", server)
			if err != nil {
				_ = in.Close()
				continue
			}
			mu.Lock()
			open = append(open, in, out)
			mu.Unlock()
			all.Go(func() { _, _ = io.Copy(out, in); _ = out.Close() })
			all.Go(func() { p.pass(in.(*net.TCPConn), out) })
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return p
}

// pass passes answers on.
func (p *proxy) pass(to *net.TCPConn, from net.Conn) {
	defer func() { _ = to.Close() }()
	buffer := make([]byte, 4096)
	passed := int64(0)
	for {
		n, err := from.Read(buffer)
		for rest := buffer[:n]; len(rest) > 0; {
			size := len(rest)
			if piece := int(p.piece.Load()); piece > 0 {
				size = min(size, piece)
			}
			<-time.After(time.Duration(p.delay.Load())) // the latency itself
			if cut := p.cut.Load(); cut > 0 && passed+int64(size) > cut {
				_ = to.SetLinger(0) // RST
				return
			}
			if !p.mute.Load() {
				if _, err := to.Write(rest[:size]); err != nil {
					return
				}
			}
			passed += int64(size)
			rest = rest[size:]
		}
		if err != nil {
			return
		}
	}
}

func TestAnswersInPiecesAndLateAreStillTheRightOnes(t *testing.T) {
	server := startServer(t)
	p := startProxy(t, server.addr())
	s := open(t, "redis://"+p.addr+"?timeout=500ms&lease=2s&retry_after=50ms&failures=3")
	for i := range 20 {
		_, err := s.Set(ctx, fmt.Sprint(i), fmt.Append(nil, "value of ", i), store.Write{TTL: time.Hour})
		must(t, err)
	}
	for _, c := range []struct {
		name         string
		piece, cut   int64
		delay        time.Duration
		mute, always bool // always: every operation is answered
	}{
		{name: "OneByteAtATime", piece: 1, always: true},
		{name: "ThreeBytesAtATime", piece: 3, always: true},
		{name: "Latency", delay: 50 * time.Millisecond, always: true},
		{name: "TooMuchLatency", delay: 700 * time.Millisecond},
		{name: "Slow", piece: 5, delay: 100 * time.Millisecond},
		{name: "ResetInTheAnswer", cut: 150},
		{name: "Mute", mute: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.piece.Store(c.piece)
			p.cut.Store(c.cut)
			p.delay.Store(int64(c.delay))
			p.mute.Store(c.mute)
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					start := time.Now()
					e, found, err := s.Get(ctx, fmt.Sprint(i))
					switch {
					case time.Since(start) > 500*time.Millisecond+slack:
						t.Errorf("took %v", time.Since(start))
					case errors.Is(err, store.ErrUnavailable) && !c.always:
					case err != nil:
						t.Error(err)
					case !found || string(e.Value) != fmt.Sprint("value of ", i):
						t.Errorf("%d has the answer %q", i, e.Value)
					}
				})
			}
			all.Wait()
			// All is well again.
			for _, word := range []*atomic.Int64{&p.piece, &p.cut, &p.delay} {
				word.Store(0)
			}
			p.mute.Store(false)
			until(t, "the server is reached again", func() bool {
				e, found, err := s.Get(ctx, "7")
				return err == nil && found && string(e.Value) == "value of 7"
			})
		})
	}
}

// An addition whose answer is lost is not sent again.
func TestAdditionIsSentOnce(t *testing.T) {
	server := startServer(t)
	p := startProxy(t, server.addr())
	s := open(t, "redis://"+p.addr+"?timeout=500ms&lease=2s&failures=1000")
	must(t, func() error { _, err := s.Add(ctx, "n", 1); return err }())
	p.cut.Store(1)
	for range 5 {
		if _, err := s.Add(ctx, "other", 1); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("%v", err)
		}
	}
	p.cut.Store(0)
	// The one on the open connection was carried out; the others ended while
	// they connected.
	if n := server.cli("get", "other"); n != "1" {
		t.Errorf("5 additions whose answers were lost made %s", n)
	}
}
