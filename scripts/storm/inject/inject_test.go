package inject_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"prefork/scripts/storm/inject"
)

type marks struct {
	mu   sync.Mutex
	list []string
}

func (m *marks) Mark(name string) { m.MarkKill(name, 0) }
func (m *marks) MarkKill(name string, pid int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, fmt.Sprint(name, " ", pid))
}

func parse(t *testing.T, texts ...string) []inject.Spec {
	t.Helper()
	var specs []inject.Spec
	for _, text := range texts {
		s, err := inject.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		specs = append(specs, s)
	}
	return specs
}

func TestFaultIsWhatItsTextSays(t *testing.T) {
	s := parse(t, "reload=HUP@1234,count=20,after=1s,every=250ms,jitter=10ms", "x=run:echo a,b=c d,count=2", "k=kill:children@77")
	if s[0].Signal != syscall.SIGHUP || s[0].PID != 1234 || s[0].Count != 20 || s[0].After != time.Second || s[0].Every != 250*time.Millisecond || s[0].Jitter != 10*time.Millisecond {
		t.Errorf("%+v", s[0])
	}
	if !reflect.DeepEqual(s[1].Run, []string{"echo", "a,b=c", "d"}) || s[1].Count != 2 {
		t.Errorf("%+v", s[1])
	}
	if s[2].Kill == nil || s[2].Count != 1 || s[2].Every != time.Second {
		t.Errorf("%+v", s[2])
	}
}

func TestFaultsThatCannotBeReadAreErrors(t *testing.T) {
	for _, text := range []string{
		"", "x", "=HUP@3", "x=", "x=HUP", "x=HUP@", "x=HUP@1", "x=HUP@-5", "x=NOPE@12", "x=run:", "x=kill:", "x=kill:unix:", "x=kill:children@0",
		"x=HUP@12,count=0", "x=HUP@12,count=a", "x=HUP@12,every=5", "x=HUP@12,every=-1s", "x=HUP@12,often", "a b=HUP@12",
	} {
		if s, err := inject.Parse(text); err == nil {
			t.Errorf("%q gives %+v", text, s)
		} else if !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q: %v does not quote it", text, err)
		}
	}
}

func TestSeedAloneMakesTheSchedule(t *testing.T) {
	specs := parse(t, "a=HUP@12,count=50,every=10ms,jitter=500ms", "b=HUP@12,count=50,every=10ms")
	one, two, three := inject.Schedule(specs, 1), inject.Schedule(specs, 1), inject.Schedule(specs, 2)
	if !reflect.DeepEqual(one, two) || reflect.DeepEqual(one, three) || len(one) != 100 {
		t.Fatal("the same seed gives another schedule, or another one the same")
	}
	for i := range one[1:] {
		if one[i].At > one[i+1].At {
			t.Fatalf("events %d and %d are out of order", i, i+1)
		}
	}
	// Another spec beside it does not change the first one's.
	var first []inject.Event
	for _, e := range one {
		if e.Name == "a" {
			first = append(first, e)
		}
	}
	if !reflect.DeepEqual(first, inject.Schedule(specs[:1], 1)) {
		t.Fatal("the first spec's events depend on the second")
	}
}

// victim is a process that ends when its stdin does, or by a signal; its
// children are cats.
func victim(t *testing.T) (cmd *exec.Cmd, line func() string) {
	t.Helper()
	cmd = exec.Command("sh", "-c", `trap 'echo got hup' HUP; (exec sleep 60) & (exec sleep 60) & echo ready; while :; do wait; done`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // killed
	})
	in := bufio.NewReader(out)
	return cmd, func() string {
		text, _ := in.ReadString('\n')
		return text
	}
}

func TestFaultsAreInjectedLoggedAndReplayed(t *testing.T) {
	cmd, line := victim(t)
	if got := line(); got != "ready\n" {
		t.Fatalf("victim says %q", got)
	}
	pid := cmd.Process.Pid
	specs := parse(t, fmt.Sprintf("hup=HUP@%d,count=2,every=20ms", pid), fmt.Sprintf("kill=kill:children@%d,after=10ms", pid), "run=run:true,after=15ms")
	var log bytes.Buffer
	m := &marks{}
	done, err := inject.Run(t.Context(), specs, inject.Schedule(specs, 5), m, &log)
	if err != nil || len(done) != 4 {
		t.Fatalf("%+v, %v", done, err)
	}
	for range 2 {
		if got := line(); got != "got hup\n" {
			t.Fatalf("victim says %q", got)
		}
	}
	killed := 0
	for _, d := range done {
		if d.Name == "kill" {
			killed = d.PID
		}
	}
	want := fmt.Sprintf("[hup 0 kill %d run 0 hup 0]", killed)
	if got := fmt.Sprint(m.list); killed == 0 || got != want {
		t.Errorf("marks %s, want %s", got, want)
	}
	events, err := inject.ReadLog(&log)
	if err != nil || len(events) != 4 {
		t.Fatalf("%+v, %v", events, err)
	}
	for i, e := range events {
		if e.Name != done[i].Name || e.Pick != done[i].Pick || e.At != done[i].Began {
			t.Errorf("event %d is %+v, was %+v", i, e, done[i])
		}
	}
	if _, err := inject.Run(t.Context(), specs[:1], events, m, &log); err == nil || !strings.Contains(err.Error(), `"kill"`) {
		t.Errorf("a replay without its fault: %v", err)
	}
}

func TestFaultThatFailsIsInTheErrorAndTheLog(t *testing.T) {
	specs := parse(t, "bad=run:false,count=2,every=1ms")
	var log bytes.Buffer
	done, err := inject.Run(t.Context(), specs, inject.Schedule(specs, 1), &marks{}, &log)
	if err == nil || len(done) != 2 || done[0].Error == "" || strings.Count(log.String(), "exit status 1") != 2 {
		t.Errorf("%+v, %v, log %q", done, err, log.String())
	}
}

func TestBrokenLogIsAnError(t *testing.T) {
	for _, text := range []string{"{", `{"at":1}`, `{"name":"x","at":-1}`, "[]", "x"} {
		if events, err := inject.ReadLog(strings.NewReader(text)); err == nil {
			t.Errorf("%q gives %v", text, events)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"reload=HUP@1234,count=20,every=1s", "x=run:echo a,b=c,count=2", "k=kill:unix:/run/x.sock,jitter=5ms", "k=kill:children@7", "a=b", ",=,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := inject.Parse(text)
		if err == nil && (s.Name == "" || s.Count < 1 || s.Every < 0 || s.Kill == nil && len(s.Run) == 0 && (s.Signal == 0 || s.PID < 2)) {
			t.Fatalf("%q gives %+v", text, s)
		}
	})
}
