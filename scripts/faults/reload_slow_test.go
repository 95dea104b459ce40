//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The role "heavy" says nothing to anybody: it needs so much CPU before it
// accepts, as a program with many imports does, and then serves what it was
// given with connections that end behind each answer.
var _ = Role("heavy", func(args []string) {
	runtime.GOMAXPROCS(1)
	needed, _ := time.ParseDuration(args[0]) // a constant of the test's
	for cpuTime() < needed {
	}
	ln, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "heavy:", err)
		os.Exit(1)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	srv := &http.Server{Handler: http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Connection", "close")
		_, _ = out.Write(strconv.AppendInt(nil, int64(os.Getpid()), 10)) // a client that has gone is no matter
	})}
	served := make(chan struct{})
	go func() {
		_ = srv.Serve(ln)
		close(served)
	}()
	<-stop
	_ = ln.Close() // the other workers accept on
	<-served       // what was accepted last is known to Shutdown, which else may not see it
	_ = srv.Shutdown(context.Background())
})

func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Silent workers that compute for a long time before they accept, more of
// them than processors: none is taken as ready while it computes, the reload
// commits, and nobody waits for it. The requests come at a steady pace, as
// from people: clients in a closed loop would be the load that slows it.
func TestReloadOfSlowSilentWorkersIsNotFelt(t *testing.T) {
	workers, needed := 8, "500ms"
	if Full() {
		workers, needed = 32, "2s"
	}
	p := Start(t, Options{
		Flags:   []string{"-w", strconv.Itoa(workers), "--start-timeout", "0", "--settle", "1s"},
		Command: RoleCommand(t, "heavy", needed),
		NoWait:  true,
	})
	// The full count needs 64 s of CPU before it is ready, more than the rig
	// waits for anything at once.
	err := errors.New("never waited")
	for i := 0; i < 4 && err != nil && !p.Ended(); i++ {
		_, err = p.Notify.await(0, "READY=1", p.ended)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Err)
	}
	addr := p.Addr(t)
	old := PIDs(Ready(p.Status(t)))

	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	var longest time.Duration
	var errs []error
	asked := 0
	for range 4 {
		wg.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				began := time.Now()
				_, err := askOnce(addr, askHTTP)
				took := time.Since(began)
				mu.Lock()
				asked, longest = asked+1, max(longest, took)
				if err != nil {
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	soFar := func() (n int, d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		return asked, longest
	}
	Eventually(t, "200 requests before", func() bool { n, _ := soFar(); return n >= 200 })
	_, usual := soFar() // what this machine makes a request wait without any reload
	began := time.Now()
	p.Reload(t)
	took := time.Since(began)
	p.Until(t, "the old workers gone", hasReady(workers, old...))
	close(stop)
	wg.Wait()
	Figure(t, "slow-silent-reload", "%d workers of %s CPU each on %d CPUs: committed after %v, %d requests, %d errors, longest %v (%v before)",
		workers, needed, runtime.NumCPU(), took.Round(time.Millisecond), asked, len(errs), longest.Round(time.Millisecond), usual.Round(time.Millisecond))
	if len(errs) > 0 {
		t.Errorf("%d errors: %v", len(errs), errs[:min(3, len(errs))])
	}
	most := time.Second + usual
	if !Full() {
		// The gate runs beside who knows what. Workers taken as ready too early make
		// the reload short, and what waits for them long.
		most = max(most, took/3)
	}
	if longest > most {
		t.Errorf("a request took %v, want at most %v: %v were usual without a reload, which took %v", longest, most, usual, took)
	}
}
