package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"prefork/cmd/prefork/demo"
	"prefork/worker"
)

// demoGlobals is what the page calls a global: every worker is a process, and
// so every worker has its own.
var demoGlobals demo.Globals

// demoWorker serves the demo as one worker of the pool.
func demoWorker() error {
	begin := time.Now()
	w, err := worker.Start()
	if err != nil {
		return failed("", "%w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return failed("", "find this program's own file: %w", err)
	}
	here, err := os.Getwd()
	if err != nil {
		return failed("", "find the current folder: %w", err)
	}
	shared, err := demoStore(w)
	if err != nil {
		return err
	}
	site := demo.New(demo.Options{
		Worker: demo.Worker{
			Slot: w.Slot(), PID: os.Getpid(), Generation: int(w.Generation()), Started: begin,
		},
		Globals: &demoGlobals,
		Store:   shared,
		Command: shellCommand(self, here),
		Kill:    func() { _ = unix.Kill(os.Getpid(), unix.SIGKILL) },
	})
	if err := greet(w, shared); err != nil {
		return failed("", "%w", err)
	}

	ctx, leave := context.WithCancel(context.Background())
	var roster sync.WaitGroup
	roster.Go(func() { site.Announce(ctx) })
	go func() {
		<-w.Draining() // Serve returns after it: this goroutine ends
		leave()
	}()
	err = w.Serve(site)
	leave()
	roster.Wait()
	if err != nil {
		return failed("", "%w", err)
	}
	return nil
}

// greet prints the page's address, once for the whole pool: the first worker
// that counts itself does it.
func greet(w *worker.Worker, shared demo.Store) error {
	// A store on a server outlives pools: the key is this one's.
	n, err := shared.Add(fmt.Sprintf("demo/greeted/%d", os.Getppid()), 1)
	if err != nil {
		return fmt.Errorf("count first worker: %w", err)
	}
	if n == 1 {
		fmt.Println("demo: open " + pageAddress(w.Listener().Addr()))
	}
	return nil
}

// pageAddress is what a person types into a browser, for a listener on TCP.
func pageAddress(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return a.Network() + ":" + a.String() // a proxy's business
	}
	if tcp.IP.IsUnspecified() {
		return fmt.Sprintf("http://localhost:%d/", tcp.Port) // 0.0.0.0 and :: name no machine
	}
	return "http://" + tcp.String() + "/"
}

// shellCommand is how a person in the folder here calls the program self.
func shellCommand(self, here string) string {
	// go run builds to $TMPDIR/go-build123/b001/exe/NAME, which is gone with it.
	if strings.Contains(self, "/go-build") && filepath.Base(filepath.Dir(self)) == "exe" {
		return "go run ./cmd/prefork"
	}
	name := filepath.Base(self)
	if found, err := exec.LookPath(name); err == nil {
		if real, err := filepath.EvalSymlinks(found); err == nil && real == self {
			return name
		}
	}
	if rest, ok := strings.CutPrefix(self, here+"/"); ok {
		self = "./" + rest
	}
	if strings.ContainsFunc(self, needsQuote) {
		return "'" + strings.ReplaceAll(self, "'", `'\''`) + "'"
	}
	return self
}

func needsQuote(r rune) bool {
	return !strings.ContainsRune("/._-+@%:,=", r) && !('a' <= r && r <= 'z') && !('A' <= r && r <= 'Z') && !('0' <= r && r <= '9')
}
