//go:build faults

package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"prefork/master/control"
	"prefork/worker"
)

// The role "env" answers with its environment.
var _ = Role("env", func([]string) {
	kept := os.Environ() // Start unsets what it has read
	w, err := worker.Start()
	if err == nil {
		err = w.Serve(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(out, strings.Join(kept, "\n")) // a client that has gone is no matter
		}))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "env:", err)
		os.Exit(1)
	}
})

func ignoreStop() { signal.Ignore(syscall.SIGTERM) }

// get asks a pool once and gives the answer's body.
func get(t testing.TB, addr string) string {
	t.Helper()
	conn, err := Dial(addr)()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body, _, err := exchange(conn, bufio.NewReader(conn), false)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// ask sends a request to the control socket and waits for its last answer.
// Any goroutine may call it.
func (p *Pool) ask(r control.Request) (control.Answer, error) {
	c, err := net.Dial("unix", p.Control)
	if err != nil {
		return control.Answer{}, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(Patience)); err != nil {
		return control.Answer{}, err
	}
	if err := json.NewEncoder(c).Encode(r); err != nil {
		return control.Answer{}, err
	}
	in := json.NewDecoder(c)
	for {
		var a control.Answer
		if err := in.Decode(&a); err != nil {
			return a, err
		}
		if a.Progress == "" {
			return a, nil
		}
	}
}

// processState is the letter of a process in /proc, "" for none: proc(5).
func processState(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[:1]
}
