//go:build faults

package faults

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"prefork/master/control"
	"prefork/worker"
)

// The role "ledger PATH" is "named", and writes who has accepted what to the
// end of a file before it reads a byte: its pid, the client's address, and when.
var _ = Role("ledger", func(args []string) {
	file, err := os.OpenFile(args[0], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, "ledger:", err)
		os.Exit(1)
	}
	serveRole("ledger", func(w *worker.Worker) error {
		return w.ServeServer(&http.Server{
			Handler:           http.HandlerFunc(named),
			ReadHeaderTimeout: 10 * time.Second,
			ConnState: func(c net.Conn, s http.ConnState) {
				if s == http.StateNew {
					fmt.Fprintf(file, "%d %s %d\n", os.Getpid(), c.RemoteAddr(), time.Now().UnixNano())
				}
			},
		})
	})
})

// lostConn is a connection that ended without an answer.
type lostConn struct {
	address      string // the client's
	began, ended int64  // Unix nanoseconds
	err          error
}

// accepted is a line of the ledger.
type accepted struct {
	pid int
	at  int64
}

// A client with a connection per request never learns whose it was, so that
// package load takes any kill nearby as the reason of its error. Here the
// workers say who accepted what: each lost connection was accepted by a worker
// that was killed. One in the queue, which nobody had accepted, is never lost.
// A worker that dies between accept and its line leaves none: those are counted
// apart, and a kill must have come just then.
func TestKillsLoseOnlyWhatTheKilledHadAccepted(t *testing.T) {
	path := filepath.Join(tempDir(t), "ledger")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := Start(t, Options{Flags: []string{"-w", "4"}, Command: RoleCommand(t, "ledger", path)})
	addr := p.Addr(t)
	var mu sync.Mutex
	var lost []lostConn
	answered := 0
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				began := time.Now().UnixNano()
				conn, err := net.DialTimeout("tcp", addr, Patience)
				if err != nil {
					mu.Lock()
					lost = append(lost, lostConn{"none", began, time.Now().UnixNano(), err})
					mu.Unlock()
					return
				}
				address := conn.LocalAddr().String()
				_, _, err = exchange(conn, bufio.NewReader(conn), false)
				_ = conn.Close()
				mu.Lock()
				if err != nil {
					lost = append(lost, lostConn{address, began, time.Now().UnixNano(), err})
				} else {
					answered++
				}
				mu.Unlock()
			}
		})
	}
	var ended sync.Once
	end := func() { ended.Do(func() { close(stop); wg.Wait() }) }
	t.Cleanup(end)

	random := rand.New(rand.NewPCG(13, 13))
	killed := map[int]int64{} // when, by pid; a moment before the kill itself
	var gone []control.Worker
	kills := Count(t, 500)
	for range kills {
		victim := p.settled(t, 4, gone...)[random.IntN(4)]
		killed[victim.PID] = time.Now().UnixNano()
		if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		gone = []control.Worker{victim}
	}
	p.settled(t, 4, gone...)
	end()

	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string][]accepted{}
	for line := range strings.Lines(string(text)) {
		var a accepted
		var address string
		if n, err := fmt.Sscan(line, &a.pid, &address, &a.at); n != 3 || err != nil {
			t.Fatalf("line %q of the ledger: %v", line, err)
		}
		by[address] = append(by[address], a)
	}
	unnamed, wrong := 0, []string{}
	for _, l := range lost {
		// A port comes again, and nearly every worker is killed at last: only
		// who accepted this connection, and was killed before it failed, counts.
		whose := slices.DeleteFunc(slices.Clone(by[l.address]), func(a accepted) bool { return a.at < l.began || a.at > l.ended })
		switch {
		case errors.Is(l.err, os.ErrDeadlineExceeded) || l.address == "none":
			wrong = append(wrong, fmt.Sprintf("%s: %v", l.address, l.err))
		case len(whose) == 0 && slices.ContainsFunc(slices.Collect(maps.Values(killed)), func(at int64) bool { return at >= l.began-int64(time.Second) && at <= l.ended }):
			unnamed++
		case !slices.ContainsFunc(whose, func(a accepted) bool {
			at, ok := killed[a.pid]
			return ok && at >= a.at-int64(time.Second) && at <= l.ended
		}):
			wrong = append(wrong, fmt.Sprintf("%s of %v, not killed by then: %v", l.address, whose, l.err))
		}
	}
	Figure(t, "kill-ledger", "%d kills, %d connections answered, %d lost: %d accepted by a killed worker, %d in no line of the ledger while a worker was killed, %d others",
		kills, answered, len(lost), len(lost)-unnamed-len(wrong), unnamed, len(wrong))
	if len(wrong) > 0 {
		t.Errorf("%d connections lost that no kill explains: %v", len(wrong), wrong[:min(5, len(wrong))])
	}
	if unnamed > kills {
		t.Errorf("%d lost connections of nobody, %d kills", unnamed, kills)
	}
	if answered == 0 {
		t.Error("nothing was answered")
	}
}
