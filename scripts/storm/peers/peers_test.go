package peers

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"prefork/scripts/storm/load"
)

// TestMain lets the test binary be a server: "peer ADDRESS", which counts the
// hangups that it gets and says so in its answers.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "peer" {
		hangups := make(chan os.Signal, 64)
		signal.Notify(hangups, syscall.SIGHUP)
		err := http.ListenAndServe(os.Args[2], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("X-Worker", string(rune('a'+len(hangups))))
		}))
		_, _ = io.WriteString(os.Stderr, err.Error())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestPeerIsDrivenAndPutIntoTheTable(t *testing.T) {
	var log bytes.Buffer
	plan := Plan{Workers: 2, Reloads: 2, Every: 50 * time.Millisecond, Load: load.Config{Fresh: 2, Kept: 2}, Log: &log}
	rows := plan.Compare(t.Context(), []Peer{
		{Name: "ours", Reload: syscall.SIGHUP, Stop: syscall.SIGTERM, Prepare: func(_, address string, _ int) ([]string, error) {
			return []string{os.Args[0], "peer", address}, nil
		}},
		{Name: "missing", Prepare: func(string, string, int) ([]string, error) { return nil, errors.New("no | such\nserver") }},
		{Name: "ends", Prepare: func(string, string, int) ([]string, error) { return []string{"sh", "-c", "echo cannot; exit 3"}, nil }},
	})
	if len(rows) != 3 || rows[0].Err != nil || rows[1].Err == nil || rows[2].Err == nil || !strings.Contains(rows[2].Err.Error(), "cannot") {
		t.Fatalf("%+v\n%s", rows, log.String())
	}
	if r := rows[0].Open; r.Failed != 0 || r.Workers["e"] == 0 || len(r.Marks) != 2 {
		t.Errorf("want an answer after 4 hangups:\n%s", r.Summary())
	}
	table := Table(rows, plan)
	t.Log("\n" + table)
	for _, want := range []string{"| ours | ", "| 0 of ", "| missing | not driven: start: no / such; server |", "2 reloads"} {
		if !strings.Contains(table, want) {
			t.Errorf("table has no %q", want)
		}
	}
	for line := range strings.SplitSeq(strings.TrimSpace(table), "\n") {
		if strings.HasPrefix(line, "|") && strings.Count(line, "|") != 10 {
			t.Errorf("line of %d bars: %s", strings.Count(line, "|"), line)
		}
	}
}
