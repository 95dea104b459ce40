//go:build faults

package faults

import (
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/master/control"
	"prefork/scripts/storm/load"
)

// heldSocket is a listening socket that the test holds, as systemd does for a
// socket unit: it outlives every pool that is given it.
func heldSocket(t testing.TB) (file *os.File, addr string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file = os.NewFile(uintptr(fd), "held")
	t.Cleanup(func() { _ = file.Close() })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 1024); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return file, "127.0.0.1:" + strconv.Itoa(name.(*unix.SockaddrInet4).Port)
}

// passed are the options for a pool that is given a held socket: LISTEN_PID
// must be its own pid, which the shell has until it is the pool.
func passed(file *os.File, o Options) Options {
	o.Listen = []string{}
	o.Files = []*os.File{file}
	o.Env = append(o.Env, "LISTEN_FDS=1")
	o.Wrap = []string{"sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh"}
	return o
}

// outages are the times in which no pool served.
type outages struct{ longest, total time.Duration }

func (o *outages) add(d time.Duration) { o.longest, o.total = max(o.longest, d), o.total+d }

// judgeHeld wants nothing refused and no connect that waited longer than the
// service was down.
func judgeHeld(t *testing.T, name string, stops int, r *load.Result, down outages) {
	t.Helper()
	longest := r.Connect.Max()
	Figure(t, name, "%d stops and starts, down for %v at most: %d errors (%d refused) in %d requests, the longest request %v, connect %v",
		stops, down.longest.Round(time.Millisecond), r.Failed, r.ByKind[load.Refused], r.Requests, r.All().Max().Round(time.Millisecond), longest.Round(time.Millisecond))
	if n := r.ByKind[load.Refused]; n > 0 {
		t.Errorf("%d connects were refused", n)
	}
	// A connect waits in the kernel only if the queue is full, which it is not.
	if longest > down.longest+time.Second {
		t.Errorf("a connect waited %v, the service was down for %v at most", longest, down.longest)
	}
	wantClean(t, r)
}

// Stop and start under load, with a socket that outlives the pool: who comes
// meanwhile waits in its queue.
func TestStopAndStartOnHeldSocketRefuseNobody(t *testing.T) {
	file, addr := heldSocket(t)
	o := passed(file, Options{Flags: []string{"-w", "4"}, Command: RoleCommand(t, "named")})
	p := Start(t, o)
	s := startStorm(t, addr, 8, 8)
	var down outages
	stops := Count(t, 20)
	for range stops {
		s.until(t, 1000)
		s.Mark("stop")
		began := time.Now()
		p.Stop(t)
		p = Start(t, o)
		get(t, addr) // the port answers after the second start
		down.add(time.Since(began))
	}
	s.until(t, 1000)
	judgeHeld(t, "stop-held-socket", stops, s.stop(t), down)
}

// The same with SIGKILL of the master at some moment of its stop.
func TestKillInTheMiddleOfStopOnHeldSocketRefusesNobody(t *testing.T) {
	file, addr := heldSocket(t)
	o := passed(file, Options{Flags: []string{"-w", "4"}, Command: RoleCommand(t, "named")})
	p := Start(t, o)
	s := startStorm(t, addr, 8, 8)
	random := rand.New(rand.NewPCG(11, 11))
	var down outages
	stops := Count(t, 50)
	for range stops {
		s.until(t, 500)
		s.Mark("stop")
		began := time.Now()
		p.Signal(t, syscall.SIGTERM)
		moment := time.NewTimer(time.Duration(random.IntN(15_000)) * time.Microsecond)
		<-moment.C // by chance: before, in and after the stop's steps
		if !p.Ended() {
			_ = syscall.Kill(p.PID, syscall.SIGKILL) // it may just have ended
		}
		p.Wait(t)
		p = Start(t, o)
		get(t, addr)
		down.add(time.Since(began))
	}
	s.until(t, 500)
	judgeHeld(t, "kill-in-stop-held-socket", stops, s.stop(t), down)
}

// systemd-socket-activate starts the pool at the first connection, which is
// served, and so is all that comes while it starts.
func TestPoolStartedBySocketActivationServesWhoWokeIt(t *testing.T) {
	needPrograms(t, "systemd-socket-activate")
	port, addr := heldSocket(t) // a port that is free: activation has no port 0
	_ = port.Close()
	p := Start(t, Options{
		Flags: []string{"-w", "2"}, Command: RoleCommand(t, "named"), Listen: []string{}, NoWait: true,
		Wrap: []string{"systemd-socket-activate", "-l", addr, "-E", "NOTIFY_SOCKET", "-E", markerName, "-E", "PATH"},
	})
	p.Err.Wait(t, "Listening on "+strings.ReplaceAll(addr, ".", `\.`))
	for range 20 {
		get(t, addr)
	}
	p.WaitReady(t)
	p.Reload(t)
	get(t, addr)
	p.Stop(t)
}

// While the drain delay runs, every worker leaves by itself once: each is
// replaced, and no request fails.
func TestWorkersThatLeaveInTheDrainDelayAreReplaced(t *testing.T) {
	delay := 2 * time.Second
	if Full() {
		delay = 10 * time.Second
	}
	p := Start(t, Options{Flags: []string{"-w", "4", "--drain-delay", delay.String()}, Command: RoleCommand(t, "named")})
	addr := p.Addr(t)
	s := startStorm(t, addr, 4, 4)
	s.until(t, 300)
	mark := p.Notify.Mark()
	asked := time.Now()
	p.Signal(t, syscall.SIGTERM)
	p.Notify.WaitAfter(t, mark, "STOPPING=1")
	first := Ready(p.Status(t))
	for i, w := range first {
		if err := syscall.Kill(w.PID, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		p.Until(t, "its slot filled again", func(s control.Status) bool {
			for _, now := range Ready(s) {
				if now.Slot == w.Slot && now.PID != w.PID {
					return true
				}
			}
			return false
		})
		t.Logf("worker %d left and is replaced %v after the stop", i, time.Since(asked).Round(time.Millisecond))
	}
	if took := time.Since(asked); took > delay {
		t.Fatalf("the workers needed %v to leave, the delay is %v", took, delay)
	}
	// Not until the delay's very end: from then on connects are refused, and
	// the load takes a moment to end.
	rest := time.NewTimer(delay - 500*time.Millisecond - time.Since(asked))
	<-rest.C
	r := s.stop(t)
	if took := time.Since(asked); took > delay {
		t.Fatalf("the load ended after %v: too late to judge", took)
	}
	Figure(t, "drain-delay-leaving", "4 of 4 workers left in a drain delay of %v: %d errors in %d requests", delay, r.Failed, r.Requests)
	wantClean(t, r)
	if code, sig := p.Wait(t); code != 0 {
		t.Errorf("stop: exit %d (signal %v)", code, sig)
	}
	if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		_ = c.Close()
		t.Error("somebody listens after the stop")
	}
}
