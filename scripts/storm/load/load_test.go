package load_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"prefork/scripts/storm/load"
)

func fds(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// listen gives a listener on TCP or on a Unix socket, and its target.
func listen(t *testing.T, network string) (net.Listener, string) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if network == "unix" {
		return l, "unix:" + address
	}
	return l, l.Addr().String()
}

// noMoreThan waits until the process has at most so many descriptors. A close
// takes effect when the goroutine that reads from the descriptor lets go of it
// (internal/poll, FD.Close), and a connection that the server accepted as it was
// closed ends by itself a moment later: a single look would see either.
func noMoreThan(t *testing.T, before int) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for fds(t) > before {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("%d descriptors before, %d for 30 s after", before, fds(t))
		}
	}
}

// until waits until a number of requests have ended.
func until(t *testing.T, l *load.Load, n int64) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for l.Done() < n {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("%d requests after 30 s, want %d", l.Done(), n)
		}
	}
}

func TestGoodServerHasNoErrors(t *testing.T) {
	// The first socket of a process brings the runtime's poller, which stays.
	poller, _ := listen(t, "tcp")
	_ = poller.Close()
	for _, network := range []string{"tcp", "unix"} {
		before := fds(t)
		ln, target := listen(t, network)
		var posted atomic.Int64
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil {
				t.Errorf("body: %v", err)
			}
			if r.Method == "POST" {
				posted.Add(n)
			}
			w.Header().Set("X-Worker", "42")
			fmt.Fprint(w, "ok\n")
			if r.ContentLength%2 == 0 { // answer in chunks
				w.(http.Flusher).Flush()
				fmt.Fprint(w, strings.Repeat("more\n", 5000))
			}
		})}
		go func() { _ = server.Serve(ln) }()
		l, err := load.Start(load.Config{Target: target, Fresh: 3, Kept: 3, Body: 5000, Want: "ok\n" + strings.Repeat("more\n", 5000)})
		if err != nil {
			t.Fatal(err)
		}
		until(t, l, 300)
		r, err := l.Stop()
		if err != nil {
			t.Fatal(err)
		}
		_ = server.Close()
		if r.Failed != 0 || r.Requests < 300 || r.By[load.Fresh].Requests == 0 {
			t.Fatalf("%s: %s", network, r.Summary())
		}
		if r.Workers["42"] != r.Requests || int64(r.All().Count()) != r.Requests || posted.Load() != 5000*r.By[load.Kept].Requests {
			t.Errorf("%s: %d answers of worker 42, %d latencies, %d bytes posted in %+v", network, r.Workers["42"], r.All().Count(), posted.Load(), r.By)
		}
		// Three kept connections, and one for each fresh request.
		if want := 3 + r.By[load.Fresh].Requests; r.Opened != want || int64(r.Connect.Count()) != want {
			t.Errorf("%s: %d connections, want %d", network, r.Opened, want)
		}
		sum := 0
		for _, n := range r.Intervals {
			sum += n
		}
		if int64(sum) != r.Requests {
			t.Errorf("%s: the intervals have %d of %d requests", network, sum, r.Requests)
		}
		_ = ln.Close()
		noMoreThan(t, before)
	}
}

// script serves connections by hand: it gives each request's number on its
// connection and takes what to write; "" closes.
func script(t *testing.T, network string, answer func(connection, request int) string) string {
	t.Helper()
	ln, target := listen(t, network)
	go func() {
		for connection := 0; ; connection++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for request := 0; ; request++ {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						return
					}
					text, more := strings.CutSuffix(answer(connection, request), "<close>")
					if _, err := io.WriteString(c, text); err != nil || more {
						return
					}
				}
			}()
		}
	}()
	return target
}

const good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Worker: 7\r\n\r\nok"

func TestEachFailureHasItsKindAndPhase(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		kind   load.Kind
		phase  load.Phase
	}{
		"nothing":          {"<close>", load.EOFBefore, load.Wait},
		"half a header":    {"HTTP/1.1 200 OK\r\nConte<close>", load.EOFIn, load.Body},
		"half a body":      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf<close>", load.EOFIn, load.Body},
		"half of chunks":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n<close>", load.EOFIn, load.Body},
		"an error page":    {"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nok", load.BadStatus, load.Body},
		"another body":     {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", load.BadBody, load.Body},
		"a longer body":    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nokk", load.BadBody, load.Body},
		"a shorter body":   {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\no", load.BadBody, load.Body},
		"no HTTP":          {"hello and welcome\r\n\r\n", load.BadResponse, load.Body},
		"two answers":      {good + good, load.BadResponse, load.Body},
		"a bad chunk":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", load.BadResponse, load.Body},
		"a bad length":     {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", load.BadResponse, load.Body},
		"no end of header": {strings.Repeat("HTTP/1.1 200 OK\r\n", 8000), load.BadResponse, load.Body},
		"silence":          {"", load.TimedOut, load.Wait},
	} {
		target := script(t, "tcp", func(_, request int) string {
			if request == 0 {
				return good
			}
			return c.answer
		})
		timeout := 30 * time.Second
		if c.kind == load.TimedOut {
			timeout = time.Second // the good answer comes sooner, also on a busy machine
		}
		l, err := load.Start(load.Config{Target: target, Kept: 1, Want: "ok", Timeout: timeout})
		if err != nil {
			t.Fatal(err)
		}
		until(t, l, 2)
		r, err := l.Stop()
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Errors) == 0 || int64(len(r.Errors)) != r.Failed || r.ByKind[c.kind] != r.Failed || r.ByPhase[c.phase] != r.Failed {
			t.Errorf("%s: want %s in phase %s:\n%s", name, c.kind, c.phase, r.Summary())
			continue
		}
		if e := r.Errors[0]; e.Worker != "7" || e.Answered != 1 || e.Ended < e.Began || e.Mode != load.Kept {
			t.Errorf("%s: %+v: want worker 7, one answer before", name, e)
		}
	}
}

func TestServerThatIsNotThereRefuses(t *testing.T) {
	ln, target := listen(t, "tcp")
	_ = ln.Close()
	for _, target := range []string{target, "unix:" + filepath.Join(t.TempDir(), "none")} {
		l, err := load.Start(load.Config{Target: target})
		if err != nil {
			t.Fatal(err)
		}
		until(t, l, 4*16)
		r, err := l.Stop()
		if err != nil {
			t.Fatal(err)
		}
		if r.Requests == 0 || r.Failed != r.Requests || r.ByKind[load.Refused] != r.Failed || r.ByPhase[load.Connect] != r.Failed {
			t.Errorf("%s: %s", target, r.Summary())
		}
		// Each of the 16 clients rests for 10 ms.
		if most := 16 * (r.Elapsed.Milliseconds()/10 + 1); r.Requests > most {
			t.Errorf("%s: %d requests in %v, want at most %d: no pause after an error", target, r.Requests, r.Elapsed, most)
		}
	}
}

func TestResetIsAReset(t *testing.T) {
	ln, target := listen(t, "tcp")
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.(*net.TCPConn).SetLinger(0)
			_, _ = c.Read(make([]byte, 10))
			_ = c.Close() // with a reset
		}
	}()
	l, err := load.Start(load.Config{Target: target, Fresh: 2, Kept: 2})
	if err != nil {
		t.Fatal(err)
	}
	until(t, l, 20)
	r, err := l.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests == 0 || r.ByKind[load.Reset] != r.Requests {
		t.Errorf("want resets:\n%s", r.Summary())
	}
}

func TestAnnouncedCloseIsHonouredAndIdleCloseIsNoError(t *testing.T) {
	target := script(t, "tcp", func(_, request int) string {
		if request == 3 {
			return strings.Replace(good, "\r\n", "\r\nConnection: close\r\n", 1) + "<close>"
		}
		return good
	})
	l, err := load.Start(load.Config{Target: target, Kept: 2, Want: "ok"})
	if err != nil {
		t.Fatal(err)
	}
	until(t, l, 400)
	r, err := l.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed != 0 || r.Opened < r.Requests/4 || r.Opened > r.Requests/4+2 {
		t.Errorf("want 4 requests a connection and no error:\n%s", r.Summary())
	}

	// The server closes without a word after each answer. At a low rate the
	// client has seen it when the next request is due.
	target = script(t, "tcp", func(int, int) string { return good + "<close>" })
	r, err = load.Run(t.Context(), load.Config{Target: target, Kept: 1, Rate: 10}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests < 5 || r.IdleClosed == 0 || r.Failed > r.Requests/4 {
		t.Errorf("want closes while idle:\n%s", r.Summary())
	}
}

func TestAnswerWithoutLengthEndsWithItsConnection(t *testing.T) {
	target := script(t, "unix", func(int, int) string { return "HTTP/1.0 200 OK\r\nX-Worker: 7\r\n\r\nok<close>" })
	l, err := load.Start(load.Config{Target: target, Fresh: 1, Kept: 1, Want: "ok"})
	if err != nil {
		t.Fatal(err)
	}
	until(t, l, 100)
	r, err := l.Stop()
	if err != nil || r.Failed != 0 || r.Opened != r.Requests {
		t.Errorf("%v\n%s", err, r.Summary())
	}
}

func TestOpenLoopKeepsItsRateAndChargesAStall(t *testing.T) {
	var stalled atomic.Bool
	release := make(chan struct{})
	target := script(t, "tcp", func(int, int) string {
		if stalled.Load() {
			<-release
		}
		return good
	})
	l, err := load.Start(load.Config{Target: target, Fresh: 1, Kept: 1, Rate: 400})
	if err != nil {
		t.Fatal(err)
	}
	until(t, l, 100)
	l.Mark("stall")
	stalled.Store(true)
	stall := time.After(500 * time.Millisecond)
	<-stall
	stalled.Store(false)
	close(release)
	at := l.Done()
	until(t, l, at+300)
	r, err := l.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed != 0 {
		t.Fatal(r.Summary())
	}
	// What was due in the stall, 200 requests, waited 250 ms in the mean,
	// though only two of them were sent: that is what a closed loop hides.
	if got := r.All().Quantile(1 - 60/float64(r.Requests)); got < 100*time.Millisecond {
		t.Errorf("the 60 slowest waited %v at least, want the stall in them:\n%s", got, r.Summary())
	}
	want := 400 * r.Elapsed.Seconds()
	if got := float64(r.Requests + r.Backlog); got < 0.95*want-4 || got > 1.05*want+4 {
		t.Errorf("%v requests in %v, want %v", got, r.Elapsed, want)
	}
	if d := r.Dip(); d.Worst > 100 || len(r.Marks) != 1 {
		t.Errorf("dip %+v of marks %v, want the stall", d, r.Marks)
	}
}

func TestFullUnixBacklogIsWaitedFor(t *testing.T) {
	ln, target := listen(t, "unix")
	l, err := load.Start(load.Config{Target: target, Fresh: 6000})
	if err != nil {
		t.Fatal(err)
	}
	// Nobody accepts until more clients came than somaxconn lets wait.
	wait := time.After(100 * time.Millisecond)
	<-wait
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go func() { _ = server.Serve(ln) }()
	until(t, l, 8000)
	r, err := l.Stop()
	if err != nil || r.Failed != 0 {
		t.Errorf("%v\n%s", err, r.Summary())
	}
	t.Logf("connect max %v", r.Connect.Max())
	_ = server.Close()
}

func TestKillExplainsOnlyItsOwnConnections(t *testing.T) {
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	r := load.Result{
		Marks: []load.MarkedTime{{At: at(1000), Name: "kill", PID: 7}, {At: at(5000), Name: "reload"}},
		Errors: []load.Error{
			{Began: at(990), Ended: at(1001), Kind: load.Reset, Phase: load.Wait, Worker: "7"},
			{Began: at(990), Ended: at(1001), Kind: load.EOFBefore, Phase: load.Wait},
			{Began: at(1100), Ended: at(1102), Kind: load.Reset, Phase: load.Send, Worker: "7"},
			// From here on: not its doing.
			{Began: at(990), Ended: at(1001), Kind: load.Reset, Phase: load.Wait, Worker: "8"},
			{Began: at(990), Ended: at(999), Kind: load.Reset, Phase: load.Wait, Worker: "7"},
			{Began: at(990), Ended: at(1001), Kind: load.Refused, Phase: load.Connect},
			{Began: at(990), Ended: at(1001), Kind: load.TimedOut, Phase: load.Wait},
			{Began: at(1300), Ended: at(1301), Kind: load.Reset, Phase: load.Wait},
			{Began: at(4999), Ended: at(5001), Kind: load.Reset, Phase: load.Wait},
		},
	}
	if got := r.Unexplained(); len(got) != 6 || got[0].Worker != "8" {
		t.Errorf("unexplained: %v", got)
	}
}

func TestBadConfigIsRefused(t *testing.T) {
	for _, c := range []load.Config{
		{}, {Target: "nowhere"}, {Target: "127.0.0.1"}, {Target: "127.0.0.1:0"}, {Target: "unix:"}, {Target: "unix:rel"}, {Target: "unix:/" + strings.Repeat("x", 107)},
		{Target: ":80", Fresh: -1}, {Target: ":80", Fresh: 20000}, {Target: ":80", Body: -2}, {Target: ":80", Rate: -1}, {Target: ":80", Timeout: -1},
		{Target: ":80", Path: "x"}, {Target: ":80", Path: "/a b"}, {Target: ":80", Host: "a\r\nb"},
	} {
		if l, err := load.Start(c); err == nil {
			t.Errorf("%+v was taken", c)
			_, _ = l.Stop()
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	target := script(t, "tcp", func(int, int) string { return good })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := load.Run(ctx, load.Config{Target: target}, time.Hour); err != nil {
		t.Fatal(err)
	}
}
