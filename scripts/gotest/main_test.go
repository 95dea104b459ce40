package main

import (
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
	r := &report{out: &out, pending: map[key][]string{}, count: map[string]int{}}
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
