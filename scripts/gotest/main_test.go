package main

import (
	"io"
	"strings"
	"testing"
)

func TestReportShowsWhatMatters(t *testing.T) {
	events := `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"figure speed: 3 ms\n"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestNot","Output":"    p_test.go:7: missing: root\n"}
{"Action":"skip","Package":"p","Test":"TestNot"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"    p_test.go:9: 1 is not 2\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"output","Package":"p","Test":"TestStuck","Output":"panic: test timed out\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"q","Output":"ok  \tq\t0.2s\n"}
{"Action":"pass","Package":"q"}
go: some message
`
	var out strings.Builder
	r := newReport(&out)
	if err := r.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	want := "figure speed: 3 ms\n    p_test.go:9: 1 is not 2\nFAIL\tp\t0.1s\npanic: test timed out\nok  \tq\t0.2s\ngo: some message\n"
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", &out, want)
	}
	if len(r.skipped) != 1 || r.skipped[0] != "p TestNot: missing: root" {
		t.Errorf("skipped: %q", r.skipped)
	}
	if strings.Join(r.broken, ", ") != "p TestBad, p TestStuck" {
		t.Errorf("failed: %q", r.broken)
	}
	if !r.failed || r.count["pass"] != 1 {
		t.Errorf("failed %v, counts %v", r.failed, r.count)
	}
}

// The time that go test gives for a test is without that of its parallel subtests.
func TestSlowTestIsNamedWithTheTimeOfItsParallelSubtests(t *testing.T) {
	events := `{"Time":"2026-11-24T12:00:00Z","Action":"run","Package":"p","Test":"TestPages"}
{"Time":"2026-11-24T12:00:00Z","Action":"run","Package":"p","Test":"TestPages/one"}
{"Time":"2026-11-24T12:00:01Z","Action":"cont","Package":"p","Test":"TestPages/one"}
{"Time":"2026-11-24T12:00:31Z","Action":"pass","Package":"p","Test":"TestPages/one","Elapsed":30}
{"Time":"2026-11-24T12:00:31Z","Action":"pass","Package":"p","Test":"TestPages","Elapsed":0.1}
{"Time":"2026-11-24T12:00:31Z","Action":"run","Package":"p","Test":"TestQuick"}
{"Time":"2026-11-24T12:00:32Z","Action":"pass","Package":"p","Test":"TestQuick","Elapsed":1}
`
	r := newReport(io.Discard)
	if err := r.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	if len(r.slow) != 1 || r.slow[0] != " 31.0 s  p TestPages" {
		t.Errorf("slow: %q", r.slow)
	}
}

func TestReportShortensLongOutput(t *testing.T) {
	var out strings.Builder
	r := &report{out: &out}
	r.show(strings.SplitAfter(strings.Repeat("line\n", 1000), "\n"))
	if lines := strings.Count(out.String(), "\n"); lines != firstShown+lastShown {
		t.Errorf("%d lines", lines)
	}
	if !strings.Contains(out.String(), "... 801 lines left out ...") {
		t.Error("does not say what is left out")
	}
}
