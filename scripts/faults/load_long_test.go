//go:build faults

package faults

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// longConn is a connection to the role "long".
type longConn struct {
	net.Conn
	in *bufio.Reader
}

func dialLong(t testing.TB, addr, request string) *longConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return &longConn{conn, bufio.NewReader(conn)}
}

func (c *longConn) answer(t testing.TB) *http.Response {
	t.Helper()
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func (c *longConn) wantWhole(t testing.TB, what string) string {
	t.Helper()
	answer := c.answer(t)
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %q, %v", what, answer.Status, text, err)
	}
	return string(text)
}

// What takes long is finished by the old worker while the new ones serve: a
// slow answer, an upload, a stream of events, which is told to end, and a
// connection that was taken over, which has until the drain timeout.
func TestReloadFinishesWhatTakesLong(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "2", "--drain-timeout", "4s"}, Command: RoleCommand(t, "long")})
	addr := p.Addr(t)
	old := p.settled(t, 2)

	slowAnswer := dialLong(t, addr, "GET /sleep?d=1s HTTP/1.1\r\nHost: pool\r\n\r\n")
	upload := dialLong(t, addr, "POST / HTTP/1.1\r\nHost: pool\r\nContent-Length: 200000\r\n\r\n")
	stream := dialLong(t, addr, "GET /stream HTTP/1.1\r\nHost: pool\r\n\r\n")
	events := stream.answer(t)
	lines := bufio.NewScanner(events.Body)
	if !lines.Scan() {
		t.Fatalf("no event: %v", lines.Err())
	}
	hijacked := dialLong(t, addr, "GET /hijack HTTP/1.1\r\nHost: pool\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if a := hijacked.answer(t); a.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(a.Status)
	}

	began := time.Now()
	p.Reload(t)
	get(t, addr)
	// The upload goes on in pieces, across the reload.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 20 {
		<-tick.C
		if _, err := upload.Write(make([]byte, 10_000)); err != nil {
			t.Fatalf("upload: %v", err)
		}
	}
	upload.wantWhole(t, "upload")
	slowAnswer.wantWhole(t, "slow answer")
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	if last != "end" || lines.Err() != nil {
		t.Errorf("the stream ended with %q, %v", last, lines.Err())
	}
	if _, err := io.WriteString(hijacked, "still here\n"); err != nil {
		t.Errorf("hijacked: %v", err)
	}
	if line, err := hijacked.in.ReadString('\n'); err != nil || line != "still here\n" {
		t.Errorf("hijacked: %q, %v", line, err)
	}
	_, err := hijacked.in.ReadString('\n')
	took := time.Since(began)
	if err == nil || took < 3*time.Second {
		t.Errorf("hijacked: ended with %v after %v, want the drain timeout of 4 s", err, took)
	}
	p.Until(t, "the old workers gone", hasReady(2, PIDs(old)...))
	if strings.Contains(p.Err.String(), "killing a worker") {
		t.Error("a worker had to be killed")
	}
	Figure(t, "reload-long", "slow answer, upload and stream finished; a hijacked connection had %v of the 4 s", took.Round(10*time.Millisecond))
}

// Reloads while workers of earlier generations still drain: their number is
// bounded, since the next reload waits, and the last one commits.
func TestReloadsDuringLongDrainsAreBounded(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "2", "--drain-timeout", "2s"}, Command: RoleCommand(t, "long")})
	addr := p.Addr(t)
	most := 0
	rounds := max(3, Count(t, 20))
	for i := range rounds {
		// Somebody who never ends, on a worker of each generation.
		c := dialLong(t, addr, "GET /hijack HTTP/1.1\r\nHost: pool\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		if a := c.answer(t); a.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(a.Status)
		}
		p.Reload(t)
		s := p.Status(t)
		if s.Generation != i+2 {
			t.Errorf("generation %d after %d reloads", s.Generation, i+1)
		}
		most = max(most, len(s.Workers))
	}
	if most > 6 {
		t.Errorf("%d workers of a pool of 2 side by side: want three generations at most", most)
	}
	p.settled(t, 2)
	Figure(t, "reload-during-drain", "%d reloads over drains of 2 s: at most %s side by side", rounds, fmt.Sprintf("%d workers of a pool of 2", most))
}
