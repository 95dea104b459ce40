//go:build faults

package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"testing"
	"time"

	"prefork/master/control"
)

// Status asks the master over its control socket.
func (p *Pool) Status(t testing.TB) control.Status {
	t.Helper()
	s, err := p.status()
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Err)
	}
	return s
}

func (p *Pool) status() (control.Status, error) {
	c, err := net.Dial("unix", p.Control)
	if err != nil {
		return control.Status{}, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(Patience)); err != nil {
		return control.Status{}, err
	}
	if err := json.NewEncoder(c).Encode(control.Request{Command: control.CmdStatus}); err != nil {
		return control.Status{}, err
	}
	line, err := bufio.NewReader(c).ReadBytes('\n')
	if err != nil {
		return control.Status{}, fmt.Errorf("read status: %w", err)
	}
	var a control.Answer
	if err := json.Unmarshal(line, &a); err != nil {
		return control.Status{}, fmt.Errorf("read status: %w in %q", err, line)
	}
	if !a.OK || a.Status == nil {
		return control.Status{}, fmt.Errorf("status refused: %q", line)
	}
	return *a.Status, nil
}

// Until waits for a status that holds, and gives it. A master that cannot be
// asked (not up yet) counts as one that does not hold.
func (p *Pool) Until(t testing.TB, what string, holds func(control.Status) bool) control.Status {
	t.Helper()
	var last control.Status
	var failed error
	Eventually(t, what, func() bool {
		if last, failed = p.status(); failed != nil {
			if p.Ended() {
				t.Fatalf("the master ended before %s\n%s", what, p.Err)
			}
			return false
		}
		return holds(last)
	}, func() string { return fmt.Sprintf("last status %+v (%v)\n%s", last, failed, p.Err) })
	return last
}

// Eventually waits until a state holds that announces itself to nobody (a
// file, a process, a counter of the kernel). Where there is a line, a byte or
// an event to wait for, wait for that.
func Eventually(t testing.TB, what string, holds func() bool, explain ...func() string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(Patience)
	defer late.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late.C:
			why := ""
			for _, e := range explain {
				why += "\n" + e()
			}
			t.Fatalf("not within %v: %s%s", Patience, what, why)
		}
	}
}

// Addr is the address of the pool's first listener, ready to dial.
func (p *Pool) Addr(t testing.TB) string {
	t.Helper()
	s := p.Status(t)
	if len(s.Listeners) == 0 {
		t.Fatalf("no listener in %+v", s)
	}
	return s.Listeners[0].Address
}

// Ready gives the workers that are ready, by slot.
func Ready(s control.Status) []control.Worker {
	var ready []control.Worker
	for _, w := range s.Workers {
		if w.State == control.StateReady {
			ready = append(ready, w)
		}
	}
	return ready
}

// PIDs gives the pids of some workers.
func PIDs(workers []control.Worker) []int {
	pids := make([]int, len(workers))
	for i, w := range workers {
		pids[i] = w.PID
	}
	return pids
}
