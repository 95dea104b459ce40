package worker

import (
	"strings"
	"testing"
	"time"

	"prefork/ipc"
	"prefork/sockets"
)

func getter(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func TestOutsideAPoolDefaultsHold(t *testing.T) {
	e, err := readEnviron(getter(nil), 42)
	if err != nil || e.inPool || e.sockets != 0 || e.workers != 1 || e.drainTimeout != 30*time.Second || e.linger != 5*time.Second || e.cell != -1 {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestSocketsOfAnotherProcessAreLeftAlone(t *testing.T) {
	e, err := readEnviron(getter(map[string]string{ipc.EnvListenPID: "41", ipc.EnvListenFDs: "2"}), 42)
	if err != nil || e.sockets != 0 {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestSocketsOfSystemdAloneAreServed(t *testing.T) {
	e, err := readEnviron(getter(map[string]string{ipc.EnvListenPID: "42", ipc.EnvListenFDs: "2", ipc.EnvListenFDNames: "web"}), 42)
	if err != nil || e.sockets != 2 || e.inPool || e.name(0) != "web" || e.name(1) != "listen1" {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestLingerIsAtMostHalfTheDrainTimeout(t *testing.T) {
	e, err := readEnviron(getter(map[string]string{ipc.EnvDrainTimeout: "4", ipc.EnvLinger: "3"}), 42)
	if err != nil || e.linger != 2*time.Second {
		t.Errorf("linger %v, %v", e.linger, err)
	}
}

func TestEachListenerHasItsStrategy(t *testing.T) {
	e, err := readEnviron(getter(map[string]string{ipc.EnvAccept: "naive,rotate"}), 42)
	if err != nil || e.strategy(0) != sockets.Naive || e.strategy(1) != sockets.Rotate || e.strategy(2) != sockets.Rotate {
		t.Errorf("got %+v, %v", e, err)
	}
}

func FuzzReadEnviron(f *testing.F) {
	f.Add("1", "42", "web", "0", "2", "30", "5", "lifeline:4", "3", "auto", "0")
	f.Add("x", "", ":", "-1", "0", "1e3", "-5", "a:1,a:1", "", ",", "99999999999")
	f.Fuzz(func(t *testing.T, fds, pid, names, slot, workers, drain, linger, extra, cell, accept, conns string) {
		e, err := readEnviron(getter(map[string]string{
			ipc.EnvListenFDs: fds, ipc.EnvListenPID: pid, ipc.EnvListenFDNames: names, ipc.EnvSlot: slot, ipc.EnvWorkers: workers,
			ipc.EnvDrainTimeout: drain, ipc.EnvLinger: linger, ipc.EnvFDs: extra, ipc.EnvCell: cell, ipc.EnvAccept: accept, ipc.EnvMaxConns: conns,
		}), 42)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("the error is not one line: %q", err)
			}
			return
		}
		if e.sockets < 0 || e.sockets > maxSockets || e.workers < 1 || e.slot < 0 || e.maxConns < 0 || e.linger > e.drainTimeout/2 || e.linger < 0 {
			t.Errorf("got %+v", e)
		}
		for i := range e.sockets {
			if e.name(i) == "" || e.strategy(i) == "" {
				t.Errorf("socket %d has no name or no strategy: %+v", i, e)
			}
		}
	})
}
