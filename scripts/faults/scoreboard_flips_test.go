//go:build faults

package faults

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"prefork/ipc"
	"prefork/master/control"
	"prefork/worker"
)

// The role "scribbler" serves like any other Go worker. At /flip?bit=N&bit=M
// it changes these bits of the scoreboard that all of them and the master
// share; at /size it says how many bytes that has.
var _ = Role("scribbler", func([]string) {
	fds, err := ipc.ParseFDs(os.Getenv(ipc.EnvFDs))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	mem, err := wholeFile(fds[ipc.FDScoreboard])
	if err != nil {
		fmt.Fprintln(os.Stderr, "map the scoreboard:", err)
		os.Exit(1)
	}
	w, err := worker.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	http.HandleFunc("/size", func(out http.ResponseWriter, _ *http.Request) { fmt.Fprint(out, len(mem)) })
	http.HandleFunc("/flip", func(out http.ResponseWriter, r *http.Request) {
		for _, text := range r.URL.Query()["bit"] {
			bit, err := strconv.Atoi(text)
			if err != nil || bit < 0 || bit >= 8*len(mem) {
				http.Error(out, "no such bit", http.StatusBadRequest)
				return
			}
			mem[bit/8] ^= 1 << (bit % 8)
		}
		fmt.Fprint(out, os.Getpid())
	})
	if err := w.Serve(nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
})

func wholeFile(fd int) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	return unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// Parts of the scoreboard, ipc/scoreboard/layout.go: where flips meet something.
const (
	boardFronts, boardFront = 64 << 10, 256
	boardBacks, boardBack   = boardFronts + 16384*boardFront, 4096
)

// One worker scribbles over the whole scoreboard, a few bits at a time. The
// master answers every time with the truth about processes, which it has from
// nowhere but the kernel, and reloads; no worker dies of it.
func TestFlipsInTheScoreboardHurtNumbersAlone(t *testing.T) {
	const workers = 4
	batch := 10 // flips between two looks at the status
	if Full() {
		batch = 1
	}
	p := Start(t, Options{Flags: []string{"-w", fmt.Sprint(workers), "--linger", "100ms"}, Command: RoleCommand(t, "scribbler")})
	addr := p.Addr(t)
	client := &http.Client{Timeout: Patience, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	fetch := func(path string) string {
		t.Helper()
		answer, err := client.Get("http://" + addr + path)
		if err != nil {
			t.Fatalf("%v\n%s", err, p.Err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %q, %v\n%s", path, answer.Status, text, err, p.Err)
		}
		return string(text)
	}
	size, err := strconv.Atoi(fetch("/size"))
	if err != nil {
		t.Fatal(err)
	}
	flips := Count(t, 100000)
	r := rand.New(rand.NewPCG(uint64(flips), 1))
	bad := uint64(0)
	for done := 0; done < flips; done += batch {
		path := "/flip?"
		for range batch {
			// Everywhere, and half of the time where cells are.
			at := r.IntN(size)
			switch r.IntN(8) {
			case 0:
				at = r.IntN(64)
			case 1, 2:
				at = boardFronts + r.IntN(2*workers*boardFront)
			case 3:
				at = boardBacks + r.IntN(2*workers*boardBack)
			}
			path += fmt.Sprintf("&bit=%d", 8*at+r.IntN(8))
		}
		fetch(path)
		s := p.Status(t)
		wantProcesses(t, s, workers)
		bad = max(bad, s.Dropped.Snapshots)
		if (done+batch)%1000 == 0 {
			p.Reload(t)
			p.settled(t, workers)
		}
	}
	p.Reload(t)
	ready := p.settled(t, workers)
	for range 40 {
		fetch("/size")
	}
	s := p.Status(t)
	if n := p.logLines("worker ended by itself"); n != 0 {
		t.Errorf("%d workers ended by themselves\n%s", n, p.Err)
	}
	if bad == 0 {
		t.Error("no cell was ever bad: the flips met nothing")
	}
	// New processes have clean cells, whatever was in them.
	for _, w := range Ready(s) {
		if w.Requests < 0 || w.Requests > 1000 || w.Connections < 0 || w.Connections > 10 {
			t.Errorf("after the last reload: %+v", w)
		}
	}
	Figure(t, "scoreboard-flips", "%d bits flipped, the master answered status after each %d and reloaded %d times; %d cells were refused; %d workers ready at the end",
		flips, batch, flips/1000+1, s.Dropped.Snapshots, len(ready))
}

// wantProcesses wants the status to have the slots, and pids that are the
// master's children.
func wantProcesses(t *testing.T, s control.Status, workers int) {
	t.Helper()
	if len(Ready(s)) < workers {
		t.Fatalf("%d ready of %d: %+v", len(Ready(s)), workers, s)
	}
	mine := children(s.PID)
	for _, w := range Ready(s) {
		found := false
		for _, pid := range mine {
			found = found || pid == w.PID
		}
		if !found || w.Slot < 0 || w.Slot >= workers {
			t.Fatalf("no worker of %v: %+v", mine, w)
		}
	}
}
