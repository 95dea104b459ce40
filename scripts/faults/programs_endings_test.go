//go:build faults

package faults

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"prefork/master/control"
	"prefork/worker"
)

// The role "mortal" is a Go worker that ends as a request asks: /exit/N with
// that status, /panic, /signal/N by that signal, everything else with its pid.
// With a path as its argument it exits with 7 at the start while that is there.
var _ = Role("mortal", func(args []string) {
	if len(args) > 0 {
		if _, err := os.Stat(args[0]); err == nil {
			fmt.Fprintln(os.Stderr, "mortal: \x1b[31mthe door is locked\x1b[0m")
			os.Exit(7)
		}
	}
	w, err := worker.Start()
	if err == nil {
		err = w.Serve(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			verb, arg, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
			n, _ := strconv.Atoi(arg) // the test's own
			switch verb {
			case "exit":
				fmt.Fprintln(os.Stderr, "mortal: asked to exit", n)
				os.Exit(n)
			case "panic":
				go panic("mortal: asked to panic")
				<-r.Context().Done()
			case "signal":
				_ = syscall.Kill(os.Getpid(), syscall.Signal(n))
				<-r.Context().Done()
			}
			fmt.Fprintln(out, os.Getpid())
		}))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mortal:", err)
		os.Exit(1)
	}
})

// expected takes texts out that the rig would else take for an end of the
// master: a worker's traces look the same.
func (x *Text) expected(texts ...string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := x.buf.String()
	for _, e := range texts {
		all = strings.ReplaceAll(all, e, "\n(expected) ")
	}
	x.buf.Reset()
	x.buf.WriteString(all)
}

// request asks for a path and does not care for the answer.
func request(addr, path string) error {
	conn, err := Dial(addr)()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: pool\r\nConnection: close\r\n\r\n", path); err != nil {
		return err
	}
	_, err = bufio.NewReader(conn).ReadByte()
	return err
}

// However a worker ends, another one takes its slot, and one line says how it
// was: the status or signal, and what it said last.
func TestEndOfAWorkerIsToldAndHealed(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "2"}, Command: RoleCommand(t, "mortal")})
	addr := p.Addr(t)
	for _, w := range []struct{ path, says string }{
		{"/exit/0", `"worker ended by itself".*"exit-code":0.*"stderr":"mortal: asked to exit 0"`},
		{"/exit/1", `"worker ended by itself".*"exit-code":1.*"stderr":"mortal: asked to exit 1"`},
		{"/exit/255", `"worker ended by itself".*"exit-code":255`},
		{"/panic", `"worker ended by itself".*"exit-code":2.*"stderr":"[^"]*\.go:\d+`},
		{"/signal/9", `"worker ended by itself".*"signal":"KILL"`},
		{"/signal/11", `"worker ended by itself".*("signal":"SEGV"|"exit-code":2)`},
		{"/signal/6", `"worker ended by itself".*("signal":"ABRT"|"exit-code":2)`},
	} {
		mark := p.Err.Len()
		err := request(addr, w.path)
		if err == nil {
			t.Errorf("%s was answered", w.path)
		}
		p.Err.WaitAfter(t, mark, w.says)
		p.Until(t, w.path+": two workers again", hasReady(2))
	}
	p.Err.expected("\npanic: ", "\nfatal error: ")
	if n := strings.Count(p.Err.String(), "worker ended by itself"); n != 7 {
		t.Errorf("%d lines about 7 ends", n)
	}
}

// A program that dies at every start is tried less and less often: the slots
// say why and when, the old generation of a reload is not touched by it, and
// what it prints cannot drive a terminal.
func TestCrashLoopBacksOffAndSaysWhy(t *testing.T) {
	lock := tempDir(t) + "/lock"
	p := Start(t, Options{Flags: []string{"-w", "2"}, Command: RoleCommand(t, "mortal", lock)})
	s := p.Status(t)
	if err := os.WriteFile(lock, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	mark := p.Err.Len()
	if err := syscall.Kill(s.Workers[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ends := func() int { return strings.Count(p.Err.String()[mark:], "worker ended by itself") - 1 }
	Eventually(t, "five starts", func() bool { return ends() >= 5 })
	took := time.Since(began)
	// 100, 200, 400 and 800 ms lie between them.
	if took < 1400*time.Millisecond {
		t.Errorf("five starts in %v", took)
	}
	now := p.Until(t, "an empty slot", func(s control.Status) bool { return len(s.Empty) == 1 })
	if e := now.Empty[0]; !strings.Contains(e.Why, "exited with status 7: mortal: ?[31mthe door is locked?[0m") || e.Until.IsZero() {
		t.Errorf("%+v", e)
	}
	if !now.Ready || len(Ready(now)) != 1 || Ready(now)[0].PID != s.Workers[1].PID {
		t.Errorf("%+v", now)
	}
	if code, out := p.CLI(t, "reload"); code != 1 || !strings.Contains(out, "the door is locked") || strings.Contains(out, "\x1b") {
		t.Errorf("reload: exit %d: %q", code, out)
	}
	Figure(t, "crash-loop", "%d starts in %v, then one every 30 s at most", ends(), time.Since(began).Round(time.Millisecond))
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	p.Reload(t)
	p.Until(t, "two workers again", hasReady(2))
}

// One request that kills whoever gets it, ten times a second: the others are
// served all the while.
func TestPoisonRequestLeavesTheOthersServed(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "4"}, Command: RoleCommand(t, "mortal")})
	addr := p.Addr(t)
	stop, done := make(chan struct{}), make(chan struct{})
	var sent atomic.Int64
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				_ = request(addr, "/exit/1") // it never gets an answer
				sent.Add(1)
			}
		}
	}()
	longest, asked, cut := time.Duration(0), 0, 0
	for end := time.Now().Add(time.Duration(Count(t, 30)) * time.Second); time.Now().Before(end); {
		began := time.Now()
		_, err := askOnce(addr, askHTTP)
		longest = max(longest, time.Since(began))
		asked++
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			t.Errorf("refused")
		case err != nil:
			cut++ // its worker got the poison too
		}
	}
	close(stop)
	<-done
	Figure(t, "poison", "%d requests served beside %d that killed: longest %v, %d cut with their worker", asked, sent.Load(), longest.Round(time.Millisecond), cut)
	if int64(cut) > sent.Load() {
		t.Errorf("%d requests cut by %d deaths", cut, sent.Load())
	}
	p.Until(t, "four workers again", hasReady(4))
}

// A worker that stays at its stop signal is killed when its time is over, and
// only then.
func TestWorkerThatStaysIsKilledAtTheDeadline(t *testing.T) {
	p := Start(t, Options{
		Flags:   []string{"-w", "2", "--ready", "alive:0s", "--settle", "0s", "--drain-timeout", "1s"},
		Command: RoleCommand(t, "stays"),
	})
	old := PIDs(p.Status(t).Workers)
	began := time.Now()
	mark := p.Err.Len()
	p.Reload(t)
	p.Err.WaitAfter(t, mark, `killing a worker.*"why":"reload"`)
	if took := time.Since(began); took < time.Second {
		t.Errorf("killed after %v", took)
	}
	p.Until(t, "the old ones gone", hasReady(2, old...))
	began = time.Now()
	p.Signal(t, syscall.SIGTERM)
	code, _ := p.Wait(t)
	if took := time.Since(began); code != 0 || took < time.Second || took > Patience/2 {
		t.Errorf("stop: exit %d after %v", code, took)
	}
	if !strings.Contains(p.Err.String(), `"why":"stop"`) {
		t.Error("the log does not say who was killed in the stop")
	}
}

// 125 says: do not restart me. The slot stays empty until a reload or a scale;
// with every slot empty for good the run is over.
func TestStatus125LeavesTheSlotEmpty(t *testing.T) {
	p := Start(t, Options{Flags: []string{"-w", "2"}, Command: RoleCommand(t, "mortal")})
	addr := p.Addr(t)
	leave := func() {
		t.Helper()
		if err := request(addr, "/exit/125"); err == nil {
			t.Error("/exit/125 was answered")
		}
	}
	leave()
	s := p.Until(t, "an empty slot", func(s control.Status) bool { return len(s.Empty) == 1 && len(s.Workers) == 1 })
	if e := s.Empty[0]; !e.Until.IsZero() || !strings.Contains(e.Why, "125") {
		t.Errorf("%+v", e)
	}
	if _, out := p.CLI(t, "status"); !strings.Contains(out, "125") {
		t.Errorf("status says nothing of it:\n%s", out)
	}
	get(t, addr)
	p.Reload(t)
	p.Until(t, "two workers after a reload", hasReady(2))
	leave()
	p.Until(t, "an empty slot", func(s control.Status) bool { return len(s.Empty) == 1 && len(s.Workers) == 1 })
	if code, out := p.CLI(t, "scale", "2"); code != 0 {
		t.Fatalf("scale: exit %d: %s", code, out)
	}
	p.Until(t, "two workers after a scale", hasReady(2))

	leave()
	p.Until(t, "an empty slot", func(s control.Status) bool { return len(s.Empty) == 1 && len(s.Workers) == 1 })
	leave()
	if code, _ := p.Wait(t); code != 1 {
		t.Errorf("exit %d with every slot empty for good, want 1", code)
	}
	if !patternIn(p.Err.String(), `"exit-code":1,.*"reason":"[^"]*125`) && !patternIn(p.Err.String(), `"reason":"[^"]*empty`) {
		t.Error("the log does not say why")
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("somebody listens")
	}
}
