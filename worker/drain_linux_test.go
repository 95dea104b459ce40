package worker_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"prefork/ipc"
)

func expectBody(t *testing.T, c net.Conn, want string) *http.Response {
	t.Helper()
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil || string(b) != want || r.StatusCode != http.StatusOK {
		t.Fatalf("got %s, %q, %v; want %q", r.Status, b, err, want)
	}
	return r
}

// expectEOF waits until the other side has closed the connection.
func expectEOF(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("read %d bytes, %v; want the end", n, err)
	}
}

// poster posts on a connection that it keeps for as long as the server says.
// It never tries anything twice: each error is a lost request.
type poster struct {
	addr string
	body []byte
	c    net.Conn
	r    *bufio.Reader
}

func (p *poster) post() error {
	if p.c == nil {
		c, err := net.Dial(network(p.addr), p.addr)
		if err != nil {
			return err
		}
		p.c, p.r = c, bufio.NewReader(c)
	}
	if err := p.c.SetDeadline(time.Now().Add(long)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(p.c, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(p.body), p.body); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	r, err := http.ReadResponse(p.r, nil)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if r.StatusCode != http.StatusOK || !bytes.Equal(b, p.body) {
		return fmt.Errorf("got %s and %d bytes", r.Status, len(b))
	}
	if r.Close {
		p.close()
	}
	return nil
}

func (p *poster) close() {
	if p.c != nil {
		_ = p.c.Close()
	}
	p.c = nil
}

func TestDrainsLoseNoRequest(t *testing.T) {
	const drains, clients = 20, 16
	for _, c := range []struct {
		name, accept string
		make         func(*testing.T) *pool
	}{{"auto", "auto", newPool}, {"rotate", "rotate", newPool}, {"naive", "naive", newPool}, {"unix", "auto", newUnixPool}} {
		t.Run(c.name, func(t *testing.T) {
			p := c.make(t)
			p.accept = c.accept
			// A client that the machine does not run for a while must not be late.
			patient := []string{ipc.EnvLinger + "=10", ipc.EnvDrainTimeout + "=20"}
			old := p.spawn(serveRole, patient...)
			var stop atomic.Bool
			var good, bad atomic.Int64
			var first sync.Once
			var wg sync.WaitGroup
			for i := range clients {
				wg.Go(func() {
					c := &poster{addr: p.addr, body: bytes.Repeat([]byte{byte('a' + i)}, 1000*(1+i%4))}
					defer c.close()
					for !stop.Load() {
						if err := c.post(); err != nil {
							bad.Add(1)
							first.Do(func() { t.Error(err) })
							c.close()
							continue
						}
						good.Add(1)
						if i%4 == 0 { // a quarter connects anew each time
							c.close()
						}
					}
				})
			}
			for range drains {
				next := p.spawn(serveRole, patient...)
				old.signal(syscall.SIGTERM)
				old.expectExit(0)
				old = next
			}
			stop.Store(true)
			wg.Wait()
			t.Logf("%d drains, %d requests, %d errors", drains, good.Load(), bad.Load())
			if bad.Load() > 0 {
				t.Errorf("%d requests were lost of %d", bad.Load(), good.Load()+bad.Load())
			}
		})
	}
}

func TestDrainAnnouncesTheEndAndServesWhatComesWithinTheLinger(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole, ipc.EnvLinger+"=5")
	c := dial(t, p.addr)
	send(t, c, get("/who"))
	if r := expectBody(t, c, "0"); r.Close {
		t.Fatal("the connection ends before the drain")
	}
	a.signal(syscall.SIGTERM)
	a.awaitDraining(p)
	send(t, c, get("/who"))
	if r := expectBody(t, c, "0"); !r.Close {
		t.Error("a response of a worker that drains does not say that the connection ends")
	}
	expectEOF(t, c)
	a.expectExit(0)
}

// awaitDraining waits until the worker's cell says that it drains.
func (a *proc) awaitDraining(p *pool) {
	a.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(long); time.Now().Before(deadline); <-tick.C {
		s, err := p.board.Read(a.cell)
		if err != nil {
			a.t.Fatal(err)
		}
		if s.State == 2 {
			return
		}
	}
	a.t.Fatal("the worker does not drain")
}

func TestIdleConnectionIsClosedAfterTheLinger(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole)
	idle, fresh := dial(t, p.addr), dial(t, p.addr)
	send(t, idle, get("/who"))
	expectBody(t, idle, "0")
	a.signal(syscall.SIGTERM)
	began := time.Now()
	expectEOF(t, idle)
	expectEOF(t, fresh)
	if d := time.Since(began); d < 400*time.Millisecond {
		t.Errorf("closed after %v, linger is 500 ms", d)
	}
	a.expectExit(0)
}

func TestLingerCountsOnlyTheTimeThatTheWorkerRan(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole, ipc.EnvLinger+"=1")
	c := dial(t, p.addr)
	send(t, c, get("/who"))
	expectBody(t, c, "0")
	began := time.Now()
	a.signal(syscall.SIGTERM)
	a.awaitDraining(p)
	a.signal(syscall.SIGSTOP)
	ran := time.Since(began)
	<-time.After(1500 * time.Millisecond) // longer than the linger
	again := time.Now()
	a.signal(syscall.SIGCONT)
	expectEOF(t, c)
	if ran += time.Since(again); ran < 700*time.Millisecond {
		t.Errorf("closed when the worker had run for %v, of 1 s of linger", ran)
	}
	a.expectExit(0)
}

func TestLifelineMakesTheLingerShort(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole, ipc.EnvLinger+"=5")
	c := dial(t, p.addr)
	send(t, c, get("/who"))
	expectBody(t, c, "0")
	began := time.Now()
	a.write('?') // not known: nothing happens
	a.write(ipc.LifelineQuick)
	// A request shows that the byte was read: both go through one poller.
	send(t, c, get("/who"))
	expectBody(t, c, "0")
	a.signal(syscall.SIGTERM)
	a.expectExit(0)
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("the drain took %v", d)
	}
}

func TestRequestInFlightEnds(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole)
	c := dial(t, p.addr)
	send(t, c, "POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n12")
	a.out.await(t, "held")
	a.signal(syscall.SIGTERM)
	a.awaitDraining(p)
	send(t, c, "34")
	expectBody(t, c, "held")
	a.expectExit(0)
}

func TestDrainTimeoutIsAnError(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole, ipc.EnvDrainTimeout+"=1")
	c := dial(t, p.addr)
	send(t, c, "POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n12")
	a.out.await(t, "held")
	a.signal(syscall.SIGTERM)
	a.expectExit(1)
	if !strings.Contains(a.err.String(), "worker: drain timeout: 1 connections closed in the middle") {
		t.Errorf("stderr is %q", a.err)
	}
}

func TestHijackedConnectionHasUntilTheDrainTimeout(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole, ipc.EnvDrainTimeout+"=3", ipc.EnvLinger+"=0.2")
	c := dial(t, p.addr)
	send(t, c, get("/hijack"))
	r := bufio.NewReader(c)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	a.signal(syscall.SIGTERM)
	a.awaitDraining(p)
	began := time.Now()
	for time.Since(began) < time.Second { // well beyond the linger
		send(t, c, "still here\n")
		if line, err := r.ReadString('\n'); err != nil || line != "still here\n" {
			t.Fatalf("got %q, %v", line, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	a.expectExit(0)
}

func TestStreamEndsByDraining(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole)
	c := dial(t, p.addr)
	send(t, c, get("/events"))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	events := bufio.NewReader(resp.Body)
	if line, err := events.ReadString('\n'); err != nil || line != "data: first\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	a.signal(syscall.SIGTERM)
	rest, err := io.ReadAll(events)
	if err != nil || string(rest) != "\ndata: last\n\n" {
		t.Fatalf("got %q, %v", rest, err)
	}
	a.expectExit(0)
}

func TestHTTP2ConnectionIsToldAndEnds(t *testing.T) {
	p := newPool(t)
	a := p.spawn(tlsRole)
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: long}
	url := "https://" + p.addr

	r, w := io.Pipe()
	held := make(chan error, 1)
	go func() {
		resp, err := client.Post(url+"/hold", "text/plain", r)
		if err == nil {
			var b []byte
			if b, err = io.ReadAll(resp.Body); err == nil && (string(b) != "held" || resp.ProtoMajor != 2) {
				err = fmt.Errorf("got %q over %s", b, resp.Proto)
			}
			_ = resp.Body.Close()
		}
		held <- err
	}()
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	a.out.await(t, "held")
	a.signal(syscall.SIGTERM)
	a.awaitDraining(p)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-held; err != nil {
		t.Errorf("the stream that was open: %v", err)
	}
	a.expectExit(0)
}

func TestIdleHTTP2ConnectionGetsGOAWAY(t *testing.T) {
	p := newPool(t)
	a := p.spawn(tlsRole, ipc.EnvLinger+"=5")
	c, err := tls.Dial("tcp", p.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(long)); err != nil {
		t.Fatal(err)
	}
	// The preface and an empty SETTINGS frame: RFC 9113 section 3.4.
	if _, err := c.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")); err != nil {
		t.Fatal(err)
	}
	for told := false; ; {
		var head [9]byte // length 3, type 1, flags 1, stream 4
		if _, err := io.ReadFull(c, head[:]); err != nil {
			t.Fatalf("no GOAWAY came: %v", err)
		}
		if _, err := io.CopyN(io.Discard, c, int64(head[0])<<16|int64(head[1])<<8|int64(head[2])); err != nil {
			t.Fatal(err)
		}
		switch head[3] {
		case 4: // SETTINGS: the server is up
			if !told {
				told = true
				a.signal(syscall.SIGTERM)
			}
		case 7: // GOAWAY
			_ = c.Close()
			a.expectExit(0)
			return
		}
	}
}

func TestOtherServersEndInOnDrain(t *testing.T) {
	p := newPool(t)
	a := p.spawn(otherRole)
	c := dial(t, p.addr)
	send(t, c, "hello\n")
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "hello\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	a.signal(syscall.SIGTERM)
	a.out.await(t, "ended")
	a.out.await(t, "accept: ")
	send(t, c, "still\n")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	a.expectExit(0)
}

func TestServerThatAsksForNoMoreConnectionsIsToldToEnd(t *testing.T) {
	p := newPool(t)
	a := p.spawn(fullRole)
	c := dial(t, p.addr)
	send(t, c, "x")
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	a.signal(syscall.SIGTERM)
	a.out.await(t, "ended")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	a.expectExit(0)
}

func TestWorkerWhoseMasterIsGoneDrainsAndFails(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole)
	c := dial(t, p.addr)
	send(t, c, "POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n12")
	a.out.await(t, "held")
	if err := a.lifeline.Close(); err != nil {
		t.Fatal(err)
	}
	a.awaitDraining(p)
	send(t, c, "34")
	expectBody(t, c, "held")
	a.expectExit(1)
	if !strings.Contains(a.err.String(), "the master is gone") {
		t.Errorf("stderr is %q", a.err)
	}
}

func TestWorkerWhoseMasterIsGoneEmptiesItsOwnStderr(t *testing.T) {
	p := newPool(t)
	p.ownStderr = true
	a := p.spawn(noisyRole)
	c := dial(t, p.addr)
	send(t, c, "POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n12")
	a.out.await(t, "held")
	if err := a.lifeline.Close(); err != nil {
		t.Fatal(err)
	}
	a.out.await(t, "the last line")
	send(t, c, "34")
	expectBody(t, c, "held")
	a.expectExit(1)
}
