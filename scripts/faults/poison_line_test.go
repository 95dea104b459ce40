//go:build faults

package faults

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"prefork/master/control"
	"prefork/worker"
)

// The role "poisoned" ends with 1 at a path that begins with /crash, never
// answers one that begins with /stay, and is "named" on all others.
var _ = Role("poisoned", func([]string) {
	serveRole("poisoned", func(w *worker.Worker) error {
		return w.Serve(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasPrefix(r.URL.Path, "/crash"):
				os.Exit(1)
			case strings.HasPrefix(r.URL.Path, "/stay"):
				<-r.Context().Done()
			}
			named(out, r)
		}))
	})
})

// send sends a request and does not wait for its answer; the end of the test
// closes the connection.
func send(t *testing.T, addr, target string) net.Conn {
	t.Helper()
	conn, err := Dial(addr)()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: pool\r\n\r\n", target); err != nil {
		t.Fatal(err)
	}
	return conn
}

// A request that kills whoever gets it can be found: the line about each
// worker that it killed says what that was serving. What the client sent
// cannot begin a line of its own, nor reach a terminal.
func TestRequestThatKillsIsNamedAndEscaped(t *testing.T) {
	const poison = "/crash%0aworker%20ready%1b[31m%ff%e2%80%ae?key=secret"
	p := Start(t, Options{Flags: []string{"-w", "2", "--log-format", "text"}, Command: RoleCommand(t, "poisoned")})
	addr := p.Addr(t)
	times := Count(t, 50)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range times {
		conn := send(t, addr, poison)
		_, _ = io.Copy(io.Discard, conn) // the end of its worker ends it
		<-tick.C
	}
	Eventually(t, "a line for each death", func() bool { return p.logLines("worker ended by itself") >= times })
	p.Until(t, "two workers again", hasReady(2))
	named := 0
	for line := range strings.Lines(p.Err.String()) {
		if strings.Contains(line, "worker ended by itself") && strings.Contains(line, `serving=`) &&
			strings.Contains(line, `GET /crash\nworker\x20ready\x1b[31m\xff\u202e `) && strings.Contains(line, "from 127.0.0.1:") {
			named++
		}
	}
	if named != times {
		t.Errorf("%d of %d deaths are explained\n%s", named, times, p.Err)
	}
	for _, never := range []string{"\x1b", "\xff", "\u202e", "secret", "\nworker"} {
		if strings.Contains(p.Err.String(), never) {
			t.Errorf("the log has %q", never)
		}
	}
}

// Of many requests the line has the oldest, in which a leak may be, and the
// newest, of which one may have killed at once.
func TestOfManyRequestsTheOldestAndTheNewestAreNamed(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "1"}, Command: RoleCommand(t, "poisoned")})
	addr := p.Addr(t)
	for i := range 20 {
		send(t, addr, "/stay/"+strconv.Itoa(i))
		// One after the other, and each in the scoreboard.
		p.Until(t, "one request more", func(s control.Status) bool { return s.Workers[0].InFlight == int64(i+1) })
	}
	mark := p.Err.Len()
	_ = request(addr, "/crash") // it never gets an answer
	line := p.Err.WaitAfter(t, mark, `.*"worker ended by itself".*`)[0]
	for _, want := range []string{"GET /stay/0 ", "GET /stay/1 ", " more; ", "GET /stay/15 "} {
		if !strings.Contains(line, want) {
			t.Errorf("%q is not in %s", want, line)
		}
	}
	if n := strings.Count(line, "GET "); n > 8 {
		t.Errorf("%d requests in one line", n)
	}
}
