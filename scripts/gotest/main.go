// Gotest shows what matters of `go test -json`, which it reads on stdin: the
// closing line of each package, the output of a test that failed, the figures
// ("figure NAME: ..."), and at the end each skipped test with its reason, each
// slow one with its time and each failed one. With a file as argument it appends the skipped tests to it.
//
// It exits with 1 when something failed or when nothing was tested.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// event is a line of `go test -json`: `go doc test2json`. A build failure
// comes as build-output, with an import path and no package.
type event struct {
	Time                                      time.Time
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64 // seconds; without those of parallel subtests
}

// key names a test, or with an empty Test its package.
type key struct{ Package, Test string }

// report turns events into text.
type report struct {
	out     io.Writer
	pending map[key][]string // output of what has not ended
	began   map[key]time.Time
	skipped []string
	broken  []string       // failed tests
	slow    []string       // tests that took slowSeconds or more
	count   map[string]int // ended tests by action
	failed  bool
}

func newReport(out io.Writer) *report {
	return &report{out: out, pending: map[key][]string{}, began: map[key]time.Time{}, count: map[string]int{}}
}

func main() {
	r := newReport(os.Stdout)
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintf(os.Stderr, "gotest: error: %v\n", err)
		os.Exit(1)
	}
	if len(os.Args) > 1 && len(r.skipped) > 0 {
		if err := appendLines(os.Args[1], r.skipped); err != nil {
			fmt.Fprintf(os.Stderr, "gotest: error: %v\n", err)
			os.Exit(1)
		}
	}
	for _, s := range r.skipped {
		fmt.Println("skip", s)
	}
	for _, s := range r.slow {
		fmt.Println("slow", s)
	}
	for _, b := range r.broken {
		fmt.Println("fail", b)
	}
	fmt.Printf("%d tests passed, %d failed, %d skipped\n", r.count["pass"], r.count["fail"], r.count["skip"])
	if r.failed || r.count["pass"] == 0 {
		os.Exit(1)
	}
}

func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
	}
}

// line takes one line. What is no event (a message of the go command itself)
// is shown as it is.
func (r *report) line(line string) {
	var e event
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		r.print(line)
		return
	}
	switch e.Action {
	case "output":
		r.output(key{e.Package, e.Test}, e.Output)
	case "run", "cont": // a parallel test begins when it goes on
		r.began[key{e.Package, e.Test}] = e.Time
	case "build-output":
		r.print(e.Output)
	case "build-fail":
		r.failed = true
	case "pass", "fail", "skip":
		r.end(e)
	}
}

func (r *report) output(k key, text string) {
	if strings.HasPrefix(text, "figure ") {
		r.print(text)
	}
	if k.Test == "" {
		if closing(text) {
			r.print(text)
			return
		}
		if text == "PASS\n" || text == "FAIL\n" || strings.Contains(text, "[no test files]") {
			return
		}
	}
	r.pending[k] = append(r.pending[k], text)
}

// closing reports whether a package's output is the line that ends it.
func closing(text string) bool {
	return strings.HasPrefix(text, "ok  \t") || strings.HasPrefix(text, "FAIL\t")
}

func (r *report) end(e event) {
	k := key{e.Package, e.Test}
	text := r.pending[k]
	delete(r.pending, k)
	switch {
	case e.Action == "fail":
		r.failed = true
		r.show(text)
		if e.Test == "" {
			r.unfinished(e.Package)
		} else {
			r.broken = append(r.broken, e.Package+" "+e.Test)
		}
	case e.Action == "skip" && e.Test != "":
		r.skipped = append(r.skipped, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(text)))
	}
	if e.Test != "" {
		r.count[e.Action]++
	}
	if took := r.took(e); e.Test != "" && !strings.Contains(e.Test, "/") && took >= slowSeconds {
		r.slow = append(r.slow, fmt.Sprintf("%5.1f s  %s %s", took, e.Package, e.Test))
	}
}

// took is how many seconds a test kept the others waiting, those of its parallel
// subtests with it.
func (r *report) took(e event) float64 {
	began := r.began[key{e.Package, e.Test}]
	if began.IsZero() || e.Time.IsZero() {
		return e.Elapsed
	}
	return max(e.Elapsed, e.Time.Sub(began).Seconds())
}

// unfinished shows the tests that ran when their package's process ended: a
// panic, an exit or the timeout.
func (r *report) unfinished(pkg string) {
	for k, text := range r.pending {
		if k.Package == pkg {
			r.show(text)
			r.broken = append(r.broken, k.Package+" "+k.Test)
			delete(r.pending, k)
		}
	}
}

// slowSeconds is from when on a test is named for its time: the gate has ten
// minutes for all of them.
const slowSeconds = 8

// A log of a whole run would hide the other failures: of a long output the
// first and the last lines are shown.
const (
	firstShown = 60
	lastShown  = 140
)

func (r *report) show(text []string) {
	if left := len(text) - firstShown - lastShown; left > 0 {
		r.print(strings.Join(text[:firstShown], ""))
		r.print(fmt.Sprintf("... %d lines left out ...\n", left))
		text = text[len(text)-lastShown:]
	}
	r.print(strings.Join(text, ""))
}

// reason is what a skipped test logged, on one line and without its places.
func reason(text []string) string {
	var words []string
	for _, line := range text {
		if strings.HasPrefix(line, "=== ") || strings.HasPrefix(strings.TrimSpace(line), "--- ") {
			continue
		}
		if _, after, ok := strings.Cut(line, ".go:"); ok {
			_, line, _ = strings.Cut(after, ": ")
		}
		words = append(words, strings.Fields(line)...)
	}
	return strings.Join(words, " ")
}

func (r *report) print(text string) {
	_, _ = io.WriteString(r.out, text) // a closed stdout has nobody to tell
}

func appendLines(path string, lines []string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
