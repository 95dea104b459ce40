package pool_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"prefork/master/internal/pool"
)

// A situation is a pool in some phase with worker 1 in some state, by a
// scenario. Worker 1 is the one that the events below are about.
type situation struct {
	name   string
	phase  string // the constant's name
	worker string // likewise; "" there is none
	script string
}

var situations = []situation{
	{"new", "PhaseNew", "", ""},
	{"starting, not executed", "PhaseStarting", "StateStarting", "workers exec=never\nbegin"},
	{"starting, silent", "PhaseStarting", "StateStarting", "config ready=auto\nbegin"},
	{"starting, settling", "PhaseStarting", "StateReady", "workers ready=10ms\nbegin\nrun 20ms"},
	{"starting, taken as ready", "PhaseStarting", "StateReady", "config ready=auto\nbegin\nrun 2s"},
	{"running", "PhaseRunning", "StateReady", "workers ready=10ms\nbegin\nrun 4s"},
	{"running, starting anew", "PhaseRunning", "StateStarting", "config workers=1\nbegin\nw1 ready\nrun 4s\nname\nw1 signal 9"},
	{"running, last seat", "PhaseRunning", "StateReady", "config workers=1\nworkers ready=10ms\nbegin\nrun 4s"},
	{"running, scaled down", "PhaseRunning", "StateDraining", "workers ready=10ms drain=never\nbegin\nrun 4s\nname 2\nscale 1"},
	{"running, leaves by itself", "PhaseRunning", "StateDraining", "workers ready=10ms drain=never\nbegin\nrun 4s\nw1 stopping"},
	{"running, start timeout", "PhaseRunning", "StateKilling", "config workers=1 start=1s\nbegin\nw1 ready\nrun 4s\nname\nw1 signal 9\nundying\nrun 1s"},
	{"loading", "PhaseRunning", "StateReady", "workers ready=10ms\nbegin\nrun 4s\nload held\nreload"},
	{"trial, the old worker", "PhaseRunning", "StateReady", "workers ready=10ms\nbegin\nrun 4s\nreload"},
	{"trial, starting", "PhaseRunning", "StateStarting", "config workers=1\nworkers ready=10ms\nbegin\nrun 4s\nworkers calm\nname\nreload"},
	{"trial, settling", "PhaseRunning", "StateReady", "config workers=1\nworkers ready=10ms\nbegin\nrun 4s\nname\nreload\nrun 100ms"},
	{"trial, adds, scaled down", "PhaseRunning", "StateDraining", "config workers=2\nworkers ready=10ms drain=never\nbegin\nrun 4s\nload good adds\nname 4\nreload\nrun 100ms\nscale 1"},
	{"rolled back, door closing", "PhaseRunning", "StateReady", "config workers=2\nworkers ready=10ms drain=never\nbegin\nrun 4s\nload good adds\ndoor queued\nname\nreload\nrun 100ms\nw4 exit 1"},
	{"rolled back", "PhaseRunning", "StateDraining", "config workers=2\nworkers ready=10ms drain=never\nbegin\nrun 4s\nname\nreload\nrun 100ms\nw4 exit 1"},
	{"replaced", "PhaseRunning", "StateDraining", "workers ready=10ms drain=never\nbegin\nrun 4s\nreload\nrun 4s"},
	{"replaced, door closing", "PhaseRunning", "StateReady", "workers ready=10ms drain=never\nbegin\nrun 4s\nload good removes\ndoor queued\nreload\nrun 4s"},
	{"in batches, not yet replaced", "PhaseRunning", "StateReady", "config surge=1\nworkers ready=10ms drain=never\nbegin\nrun 4s\nname 2\nreload\nrun 4s"},
	{"overdue", "PhaseRunning", "StateKilling", "workers ready=10ms drain=never\nbegin\nrun 4s\nreload\nrun 4s\nundying\nrun 40s"},
	{"drain delay", "PhaseStopping", "StateReady", "config delay=10s\nworkers ready=10ms\nbegin\nrun 4s\nstop"},
	{"drain delay, starting", "PhaseStopping", "StateStarting", "config delay=10s workers=1\nbegin\nw1 ready\nrun 4s\nstop\nname\nw1 exit 0"},
	{"door", "PhaseStopping", "StateReady", "workers ready=10ms\nbegin\nrun 4s\ndoor queued\nstop"},
	{"failed start", "PhaseStopping", "StateStarting", "begin\nw2 exit 1"},
	{"told", "PhaseStopping", "StateDraining", "workers ready=10ms drain=never\nbegin\nrun 4s\nstop\nstop"},
	{"quit", "PhaseStopping", "StateKilling", "workers ready=10ms\nbegin\nrun 4s\nundying\nquit"},
	{"done", "PhaseDone", "", "begin\nquit\nrun 1s"},
}

// outside are the events, by the names of their types: each in the forms that
// matter, about worker id.
func outside(id pool.ID) map[string][]pool.Event {
	cfg := newWorld().config
	return map[string][]pool.Event{
		"Begin":       {pool.Begin{Config: cfg}},
		"Tick":        {pool.Tick{}},
		"Spawned":     {pool.Spawned{ID: id, PID: 77}},
		"SpawnFailed": {pool.SpawnFailed{ID: id, Reason: "cannot be started"}},
		"Executed":    {pool.Executed{ID: id}},
		"Notified": {
			pool.Notified{ID: id}, pool.Notified{ID: id, Ready: true}, pool.Notified{ID: id, Stopping: true},
			pool.Notified{ID: id, GoLibrary: true}, pool.Notified{ID: id, Extend: time.Minute}, pool.Notified{ID: 99, Ready: true},
		},
		"Measured":    {pool.Measured{CPU: map[pool.ID]time.Duration{id: time.Millisecond}}, pool.Measured{}},
		"Exited":      {pool.Exited{ID: id}, pool.Exited{ID: id, Code: 1}, pool.Exited{ID: id, Code: 125}, pool.Exited{ID: id, Signal: 9}, pool.Exited{ID: 99}},
		"ReloadAsked": {pool.ReloadAsked{}},
		"Loaded":      {pool.Loaded{Config: cfg}},
		"LoadFailed":  {pool.LoadFailed{Reason: "bad"}},
		"Scale":       {pool.Scale{To: 1}, pool.Scale{By: 1}, pool.Scale{By: -9}},
		"Stop":        {pool.Stop{}},
		"Quit":        {pool.Quit{}},
		"HelperAdded": {pool.HelperAdded{Helper: 1}}, "HelperDropped": {pool.HelperDropped{Helper: 1}}, "HelperAsked": {pool.HelperAsked{Helper: 1}},
		"Holding": {pool.Holding{ID: id}, pool.Holding{ID: id, Stopped: true}, pool.Holding{ID: 99, Stopped: true}},
		"LetGo":   {pool.LetGo{ID: id}},
		"Probed":  {pool.Probed{}, pool.Probed{Generation: 1}, pool.Probed{Generation: 9}, pool.Probed{Unknown: true, Queued: true}},
	}
}

// TestEveryPhaseAndStateTakesEveryEvent feeds every event to every situation,
// and compares what follows with testdata/pairs.golden. It fails when a phase,
// a worker state or an event exists that is not among them.
func TestEveryPhaseAndStateTakesEveryEvent(t *testing.T) {
	var out bytes.Buffer
	seen := map[string]bool{}
	for _, s := range situations {
		fmt.Fprintf(&out, "%s: %s\n", s.name, situationOf(t, s).table())
		events := outside(1)
		for _, kind := range eventNames(t) {
			if events[kind] == nil {
				t.Fatalf("event %s is not among the pairs", kind)
			}
			seen[s.phase+" "+kind] = true
			seen[s.worker+" "+kind] = true
			for i := range events[kind] {
				w := situationOf(t, s)
				ev := outside(w.named)[kind][i]
				fmt.Fprintf(&out, "  %-40s %s\n", eventText(w.named, ev), feed(t, w, s, ev))
			}
		}
	}
	for _, group := range []string{"Phase", "WorkerState"} {
		for _, name := range constants(t, group) {
			for _, kind := range eventNames(t) {
				if !seen[name+" "+kind] {
					t.Errorf("the pair (%s, %s) is missing", name, kind)
				}
			}
		}
	}
	golden := filepath.Join("testdata", "pairs.golden")
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, out.Bytes()) {
		t.Error(firstDifference(string(want), out.String()))
	}
}

// situationOf brings a world there, and checks that it is where it should be.
func situationOf(t *testing.T, s situation) *world {
	w := newWorld()
	w.named = 1
	for line := range strings.Lines(s.script) {
		if err := w.exec(strings.TrimSpace(line)); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
	}
	if want := indexOf(t, "Phase", s.phase); int(w.pool.Phase()) != want {
		t.Fatalf("%s: phase %d, want %s", s.name, w.pool.Phase(), s.phase)
	}
	for _, p := range w.pool.Workers() {
		if p.ID == w.named && s.worker != "" {
			if want := indexOf(t, "WorkerState", s.worker); int(p.State) != want {
				t.Fatalf("%s: w%d is %s, want %s\n%s", s.name, p.ID, stateName(p.State), s.worker, w.table())
			}
			return w
		}
	}
	if s.worker != "" {
		t.Fatalf("%s: w%d is not there\n%s", s.name, w.named, w.table())
	}
	return w
}

// feed gives one event to the pool alone: nothing is carried out. Begin twice
// is the one misuse that panics.
func feed(t *testing.T, w *world, s situation, ev pool.Event) (text string) {
	defer func() {
		if r := recover(); r != nil {
			if _, begin := ev.(pool.Begin); begin && s.phase != "PhaseNew" && strings.Contains(fmt.Sprint(r), "Begin twice") {
				text = "panics: Begin twice"
				return
			}
			t.Errorf("%s: %T%+v: %v", s.name, ev, ev, r)
		}
	}()
	before := stateOf(w)
	var list []string
	for _, c := range w.check.step(&w.pool, w.now, ev) {
		list = append(list, strings.TrimSuffix(fmt.Sprintf("%s%v", reflect.TypeOf(c).Name(), c), "{}"))
	}
	if after := stateOf(w); after != before {
		list = append(list, fmt.Sprintf("[%s to %s]", before, after))
	}
	if list == nil {
		list = []string{"-"}
	}
	return strings.Join(list, " ")
}

// stateOf is what the worker of the situation is.
func stateOf(w *world) string {
	for _, p := range w.pool.Workers() {
		if p.ID == w.named {
			return stateName(p.State)
		}
	}
	return "nobody"
}

func eventText(id pool.ID, ev pool.Event) string {
	var b strings.Builder
	b.WriteString(reflect.TypeOf(ev).Name())
	v := reflect.ValueOf(ev)
	for i := range v.NumField() {
		f := v.Field(i)
		switch name := v.Type().Field(i).Name; {
		case f.IsZero() || name == "Config":
		case name == "ID" && f.Int() == int64(id):
		case f.Kind() == reflect.Bool:
			fmt.Fprintf(&b, " %s", name)
		default:
			fmt.Fprintf(&b, " %s=%v", name, f.Interface())
		}
	}
	return b.String()
}

// eventNames are the names of all event types, from the source.
func eventNames(t *testing.T) []string {
	var names []string
	for _, d := range source(t, "event.go").Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "event" {
			names = append(names, f.Recv.List[0].Type.(*ast.Ident).Name)
		}
	}
	if len(names) == 0 {
		t.Fatal("no events in event.go")
	}
	return names
}

// constants are the names of all constants of a type in state.go, in order.
func constants(t *testing.T, of string) []string {
	var names []string
	for _, d := range source(t, "state.go").Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		current := ""
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			if v.Type != nil {
				current = fmt.Sprint(v.Type)
			}
			if current == of {
				for _, n := range v.Names {
					names = append(names, n.Name)
				}
			}
		}
	}
	if len(names) == 0 {
		t.Fatalf("no constants of %s in state.go", of)
	}
	return names
}

func indexOf(t *testing.T, of, name string) int {
	i := slices.Index(constants(t, of), name)
	if i < 0 {
		t.Fatalf("%s is no constant of %s", name, of)
	}
	return i
}

func source(t *testing.T, file string) *ast.File {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
