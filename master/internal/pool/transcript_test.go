package pool_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the transcripts anew; commit them only when it is understood why they changed")

// TestTranscripts plays the scenarios of testdata. A line that begins in the
// first column is what happens (see world.exec), an indented one what came of
// it: times, commands, what workers did, and at the end of each step the table
// where it has changed.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("transcripts: %v, %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if bytes.Equal(got, want) {
				return
			}
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Error(firstDifference(string(want), string(got)))
		})
	}
}

// play runs a scenario and returns it with what came of it.
func play(t *testing.T, script string) []byte {
	var out bytes.Buffer
	w := newWorld()
	w.say = func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("%v\n%s", r, out.String())
		}
	}()
	last := ""
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, " ") {
			continue
		}
		out.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := w.exec(line); err != nil {
			t.Fatal(err)
		}
		if table := w.table(); table != last && w.pool.Phase() != 0 {
			last = table
			fmt.Fprintf(&out, "           = %s\n", table)
		}
	}
	return out.Bytes()
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		x, y := "(end)", "(end)"
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, x, y)
		}
	}
	return ""
}
