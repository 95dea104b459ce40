package worker_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"prefork/ipc"
	"prefork/ipc/scoreboard"
)

// look is what the master sees of a worker.
func (a *proc) look(p *pool) (scoreboard.Snapshot, []scoreboard.Serving, scoreboard.Histogram) {
	a.t.Helper()
	snap, err := p.board.Read(a.cell)
	if err != nil {
		a.t.Fatal(err)
	}
	serving, err := p.board.Serving(a.cell)
	if err != nil {
		a.t.Fatal(err)
	}
	h, err := p.board.Latency(a.cell)
	if err != nil {
		a.t.Fatal(err)
	}
	return snap, serving, h
}

// idle waits until nothing is in flight.
func (a *proc) idle(p *pool) scoreboard.Snapshot {
	a.t.Helper()
	var snap scoreboard.Snapshot
	a.await("have nothing in flight", func() bool {
		snap, _, _ = a.look(p)
		return snap.InFlight == 0
	})
	return snap
}

// beats wants the heartbeat to move on from what it was.
func (a *proc) beats(p *pool, from scoreboard.Snapshot, why string) scoreboard.Snapshot {
	a.t.Helper()
	var snap scoreboard.Snapshot
	a.await("advance by "+why, func() bool {
		snap, _, _ = a.look(p)
		return snap.Heartbeat > from.Heartbeat && !snap.LastActive.Before(from.LastActive.Add(-time.Second))
	})
	return snap
}

func TestMasterSeesWhatIsServed(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole)
	c := dial(t, p.addr)
	began := time.Now().Add(-time.Millisecond)
	send(t, c, "POST /hold?secret=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
	a.out.await(t, "held")
	snap, serving, h := a.look(p)
	if snap.InFlight != 1 || snap.Requests != 1 || snap.Oldest.Before(began) || h.Count() != 0 {
		t.Errorf("%+v with %d latencies", snap, h.Count())
	}
	if len(serving) != 1 || serving[0].Method != "POST" || serving[0].Path != "/hold" ||
		serving[0].Client != c.LocalAddr().String() || serving[0].Since.Before(began) {
		t.Errorf("serves %+v, want POST /hold for %v", serving, c.LocalAddr())
	}
	// Each part of the body is an advance.
	for range 3 {
		send(t, c, "x")
		snap = a.beats(p, snap, "a part of the body")
	}
	expectBody(t, c, "held")
	snap = a.idle(p)
	_, serving, h = a.look(p)
	if len(serving) != 0 || !snap.Oldest.IsZero() || h.Count() != 1 || snap.Heartbeat < 5 {
		t.Errorf("after the answer: %+v, %+v, %d latencies", snap, serving, h.Count())
	}
}

// Where nothing of a request has come, nothing advances, however much of it
// is on its way.
func TestUnfinishedHeadersAreNoAdvance(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole)
	c := dial(t, p.addr)
	head := "GET /who HTTP/1.1\r\nHost: x\r\n"
	send(t, c, head)
	a.await("read the first lines", func() bool {
		snap, _, _ := a.look(p)
		return snap.BytesIn == int64(len(head))
	})
	if snap, _, _ := a.look(p); snap.Heartbeat != 0 || snap.Requests != 0 || snap.InFlight != 0 {
		t.Errorf("%+v", snap)
	}
	send(t, c, "\r\n")
	expectBody(t, c, "0")
}

// A worker that takes requests and finishes none makes no progress (A13).
func TestStuckHandlersMakeNoProgress(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole)
	var conns []net.Conn
	for i := range 5 {
		c := dial(t, p.addr)
		conns = append(conns, c)
		send(t, c, "POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
		a.await("hold one more", func() bool { return strings.Count(a.out.String(), "held") == i+1 })
		if snap, _, _ := a.look(p); snap.Progress() != 0 || snap.InFlight != int64(i+1) {
			t.Errorf("%d stuck: %+v", i+1, snap)
		}
	}
	for _, c := range conns {
		send(t, c, "x")
		expectBody(t, c, "held")
	}
	if snap := a.idle(p); snap.Progress() < 10 {
		t.Errorf("after the answers: %+v", snap)
	}
}

func TestHijackEndsTheRequestAndNotTheHeartbeat(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole)
	c := dial(t, p.addr)
	send(t, c, get("/hijack"))
	r := bufio.NewReader(c)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	snap, serving, h := a.look(p)
	if snap.InFlight != 0 || snap.Requests != 1 || snap.Connections != 1 || !snap.Oldest.IsZero() || h.Count() != 1 || len(serving) != 0 {
		t.Errorf("%+v, %+v, %d latencies", snap, serving, h.Count())
	}
	for range 3 {
		before := snap
		send(t, c, "still here\n")
		if line, err := r.ReadString('\n'); err != nil || line != "still here\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		a.await("count both ways of a line", func() bool {
			snap, _, _ = a.look(p)
			return snap.BytesIn >= before.BytesIn+11 && snap.BytesOut >= before.BytesOut+11
		})
		snap = a.beats(p, before, "a line of a hijacked connection")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	a.await("close its connection", func() bool {
		snap, _, _ = a.look(p)
		return snap.Connections == 0
	})
	if _, _, h := a.look(p); snap.InFlight != 0 || snap.Requests != 1 || h.Count() != 1 {
		t.Errorf("%+v, %d latencies", snap, h.Count())
	}
}

func TestHandlerThatPanicsEndsItsRequest(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole)
	c := dial(t, p.addr)
	send(t, c, get("/panic"))
	if b, err := io.ReadAll(c); err != nil || len(b) != 0 {
		t.Fatalf("got %q, %v", b, err)
	}
	if snap := a.idle(p); snap.Requests != 1 {
		t.Errorf("%+v", snap)
	}
}

// The bytes are the wire's, each one once.
func TestBytesAreThoseOfTheClient(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole)
	sent, received := int64(0), int64(0)
	const requests = 200
	c := dial(t, p.addr)
	in := bufio.NewReader(io.TeeReader(c, counter{&received}))
	for i := range requests {
		text := get("/who")
		if i%3 == 0 {
			body := strings.Repeat("x", 40*i)
			text = fmt.Sprintf("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
		if i%50 == 0 {
			text = get("/file") // by sendfile(2)
		}
		send(t, c, text)
		sent += int64(len(text))
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
	}
	if received < 4<<20 {
		t.Fatalf("%d bytes came: the file was not whole", received)
	}
	a.await(fmt.Sprintf("have read %d bytes and written %d", sent, received), func() bool {
		snap, _, _ := a.look(p)
		return snap.BytesIn == sent && snap.BytesOut == received // the answer's last count may come after the answer
	})
	snap := a.idle(p)
	if _, _, h := a.look(p); snap.Requests != requests || h.Count() != requests {
		t.Errorf("%+v and %d latencies of %d requests", snap, h.Count(), requests)
	}
}

type counter struct{ n *int64 }

func (c counter) Write(p []byte) (int, error) {
	*c.n += int64(len(p))
	return len(p), nil
}

// On a connection of HTTP/2 each stream is a request, and its own advances
// count: not the frames that keep a connection alive.
func TestStreamsOfHTTP2AreRequests(t *testing.T) {
	p := newPool(t)
	a := p.spawn(tlsRole)
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: long}
	url := "https://" + p.addr

	const streams = 3
	var bodies [streams]*io.PipeWriter
	var answers [streams]*bufio.Reader
	for i := range streams {
		r, w := io.Pipe()
		bodies[i] = w
		resp, err := client.Post(url+"/lines", "text/plain", r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.ProtoMajor != 2 {
			t.Fatalf("answered over %s", resp.Proto)
		}
		answers[i] = bufio.NewReader(resp.Body)
	}
	snap, serving, h := a.look(p)
	if snap.InFlight != streams || snap.Connections != 1 || len(serving) != streams || h.Count() != 0 {
		t.Errorf("%+v, %+v, %d latencies", snap, serving, h.Count())
	}
	for range 3 {
		for i, w := range bodies {
			before := snap
			if _, err := io.WriteString(w, "line\n"); err != nil {
				t.Fatal(err)
			}
			if line, err := answers[i].ReadString('\n'); err != nil || line != "line\n" {
				t.Fatalf("got %q, %v", line, err)
			}
			snap = a.beats(p, before, "a line of a stream")
		}
	}
	for _, w := range bodies {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	snap = a.idle(p)
	if _, _, h := a.look(p); snap.Requests != streams || h.Count() != streams || snap.BytesIn == 0 || snap.BytesOut == 0 {
		t.Errorf("%+v, %d latencies", snap, h.Count())
	}
}

func TestPingsOfHTTP2AreNoAdvance(t *testing.T) {
	p := newPool(t)
	a := p.spawn(tlsRole)
	c, err := tls.Dial("tcp", p.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(long)); err != nil {
		t.Fatal(err)
	}
	// The preface, an empty SETTINGS frame, and HEADERS of a stream whose
	// request has no end yet (RFC 9113): POST https /hold, by the static table
	// of RFC 7541 and two literals.
	headers := "\x83\x87\x04\x05/hold\x41\x01x"
	if _, err := c.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" +
		"\x00\x00" + string(rune(len(headers))) + "\x01\x04\x00\x00\x00\x01" + headers)); err != nil {
		t.Fatal(err)
	}
	a.out.await(t, "held")
	before, serving, _ := a.look(p)
	if before.InFlight != 1 || len(serving) != 1 || serving[0].Path != "/hold" {
		t.Fatalf("%+v, %+v", before, serving)
	}
	for acks := 0; acks < 5; {
		if _, err := c.Write([]byte("\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678")); err != nil {
			t.Fatal(err)
		}
		for last := byte(0); last != 6; {
			var head [9]byte // length 3, type 1, flags 1, stream 4
			if _, err := io.ReadFull(c, head[:]); err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, c, int64(head[0])<<16|int64(head[1])<<8|int64(head[2])); err != nil {
				t.Fatal(err)
			}
			last = head[3]
		}
		acks++
	}
	after, _, _ := a.look(p)
	if after.Heartbeat != before.Heartbeat || after.BytesIn <= before.BytesIn {
		t.Errorf("from %+v to %+v by pings", before, after)
	}
}

// What a handler finds in the ResponseWriter of HTTP/2 without a cell it finds
// with one, too.
func TestWriterOfHTTP2KeepsItsInterfaces(t *testing.T) {
	p := newPool(t)
	a := p.spawn(interfacesRole)
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: long}
	resp, err := client.Get("https://" + p.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || string(b) != "Flusher Pusher StringWriter CloseNotifier deadlines" {
		t.Errorf("got %q, %v", b, err)
	}
	a.idle(p)
}

var interfacesRole = role("interfaces", func() {
	w := start()
	cert, err := certificate()
	if err != nil {
		fail(err)
	}
	end(w.ServeServer(&http.Server{TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			var b bytes.Buffer
			if _, ok := rw.(http.Flusher); ok {
				b.WriteString("Flusher ")
			}
			if _, ok := rw.(http.Pusher); ok {
				b.WriteString("Pusher ")
			}
			if _, ok := rw.(io.StringWriter); ok {
				b.WriteString("StringWriter ")
			}
			if _, ok := rw.(interface{ CloseNotify() <-chan bool }); ok {
				b.WriteString("CloseNotifier ")
			}
			rc := http.NewResponseController(rw)
			if rc.SetReadDeadline(time.Time{}) == nil && rc.SetWriteDeadline(time.Time{}) == nil {
				b.WriteString("deadlines")
			}
			_, _ = rw.Write(b.Bytes())
		})}))
})

// A worker that is killed leaves what it served, until its cell goes to the
// next process (A2).
func TestKilledWorkerLeavesItsRequestsUntilTheCellIsUsedAgain(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole)
	const held = 20 // more than there are places
	for range held {
		c := dial(t, p.addr)
		send(t, c, "POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
	}
	a.await("hold all", func() bool { return strings.Count(a.out.String(), "held") == held })
	if err := a.cmd.Process.Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	a.wait()
	snap, serving, _ := a.look(p)
	if snap.InFlight != held || len(serving) != scoreboard.Places || snap.Oldest.IsZero() {
		t.Errorf("%+v, %d requests with a place", snap, len(serving))
	}
	p.board.Free(a.cell)
	if got := p.board.Totals(); got.Requests != held || got.Cut != held {
		t.Errorf("totals %+v, want %d requests, all cut", got, held)
	}
	b := p.spawn(serveRole)
	if b.cell != a.cell {
		t.Fatalf("the next worker has cell %d, want %d", b.cell, a.cell)
	}
	snap, serving, h := b.look(p)
	if snap.InFlight != 0 || snap.Requests != 0 || snap.BytesIn != 0 || len(serving) != 0 || h.Count() != 0 {
		t.Errorf("the next worker has %+v, %+v, %d latencies", snap, serving, h.Count())
	}
}

// A worker that finds something else where the scoreboard should be serves
// without a cell, and says so.
func TestWorkerWithoutAScoreboardServes(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole, ipc.EnvFDs+"=lifeline:4,scoreboard:3")
	c := dial(t, p.addr)
	send(t, c, get("/who"))
	expectBody(t, c, "0")
	a.err.await(t, "worker: count what this worker does: open scoreboard: ")
	if snap, _, _ := a.look(p); snap.Requests != 0 || snap.State != scoreboard.StateStarting {
		t.Errorf("%+v", snap)
	}
	a.signal(syscall.SIGTERM)
	a.expectExit(0)
}
