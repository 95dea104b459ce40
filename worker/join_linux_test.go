package worker_test

import (
	"encoding/json"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"prefork/ipc"
)

func TestStartTakesWhatTheMasterGives(t *testing.T) {
	p := newPool(t)
	a := p.start(factsRole)
	a.expectMessage("X_PREFORK_WORKER=1")
	a.expectExit(0)
	var f facts
	if err := json.Unmarshal([]byte(a.out.String()), &f); err != nil {
		t.Fatal(err)
	}
	if f.Slot != 0 || f.Workers != 2 || f.Generation != 1 || f.Name != "web" || !f.Named {
		t.Errorf("got %+v", f)
	}
	if len(f.Left) != 0 {
		t.Errorf("variables are still set: %q", f.Left)
	}
	if want := max(1, (runtime.GOMAXPROCS(0)+1)/2); f.Procs != want {
		t.Errorf("GOMAXPROCS is %d, want %d", f.Procs, want)
	}
	for _, fd := range []string{"3", "4", "5"} { // others may come from whoever runs the tests
		if slices.Contains(f.Leaked, fd) {
			t.Errorf("a program that the worker started has descriptors %s", f.Leaked)
		}
	}
}

func TestEnvironmentSetsGOMAXPROCS(t *testing.T) {
	a := newPool(t).start(factsRole, "GOMAXPROCS=7")
	a.expectExit(0)
	if !strings.Contains(a.out.String(), `"Procs":7`) {
		t.Errorf("got %s", a.out)
	}
}

func TestWorkerBehindAShellSaysWhatIsWrong(t *testing.T) {
	a := newPool(t).start(factsRole, "WORKER_TEST_WRONG_PID=1", ipc.EnvListenPID+"=1")
	a.expectExit(1)
	if !strings.Contains(a.err.String(), "must exec") {
		t.Errorf("stderr is %q", a.err)
	}
}

func TestBadVariablesAreNamed(t *testing.T) {
	p := newPool(t)
	for _, v := range []string{
		ipc.EnvListenFDs + "=x", ipc.EnvWorkers + "=0", ipc.EnvDrainTimeout + "=30s", ipc.EnvFDs + "=lifeline",
		ipc.EnvAccept + "=fast", ipc.EnvMaxConns + "=-1", ipc.EnvStopSignal + "=TERM",
	} {
		a := p.start(factsRole, v)
		a.expectExit(1)
		_, value, _ := strings.Cut(v, "=")
		if !strings.Contains(a.err.String(), value) {
			t.Errorf("%s: stderr is %q", v, a.err)
		}
	}
}

func TestSignalsToTheWholePoolDoNothing(t *testing.T) {
	p := newPool(t)
	a := p.spawn(serveRole)
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE} {
		a.signal(s)
	}
	c := dial(t, p.addr)
	send(t, c, get("/who"))
	expectBody(t, c, "0")
	a.signal(syscall.SIGTERM)
	a.expectExit(0)
}

func TestStopSignalOfTheConfigurationDrains(t *testing.T) {
	a := newPool(t).spawn(serveRole, ipc.EnvStopSignal+"=SIGUSR1")
	a.signal(syscall.SIGUSR1)
	a.expectExit(0)
}

func TestWorkerThatLeavesByItselfSaysSo(t *testing.T) {
	p := newPool(t)
	a := p.spawn(selfRole)
	c := dial(t, p.addr)
	send(t, c, get("/leave"))
	expectBody(t, c, "")
	a.expectMessage("STOPPING=1")
	a.expectExit(0)
}
