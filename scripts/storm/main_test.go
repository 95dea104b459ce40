package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serve gives the address of a server; bad is how many of 10 requests fail.
func serve(t *testing.T, bad int) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	requests := make(chan int, 1)
	requests <- 0
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		n := <-requests
		requests <- n + 1
		if n%10 < bad {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	return ln.Addr().String()
}

func storms(args ...string) (code int, out, err string) {
	var stdout, stderr strings.Builder
	code = run(args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestExitCodeSaysWhetherRequestsFailed(t *testing.T) {
	if code, out, stderr := storms("-target", serve(t, 0), "-for", "200ms"); code != 0 || !strings.Contains(out, " 0 failed") {
		t.Errorf("a good server: %d\n%s%s", code, out, stderr)
	}
	code, out, stderr := storms("-target", serve(t, 5), "-for", "200ms")
	if code != 1 || !strings.Contains(out, "error bad-status: ") || !strings.Contains(out, "errors are not those of killed workers") {
		t.Errorf("a bad server: %d\n%s%s", code, out, stderr)
	}
}

func TestOpenLoopMeasuresItsRateFirst(t *testing.T) {
	code, out, stderr := storms("-target", serve(t, 0), "-open", "-calibrate", "300ms", "-for", "300ms", "-json")
	var r struct {
		Requests int     `json:"requests"`
		Rate     float64 `json:"per_second"`
		Marks    []any   `json:"marks"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 || r.Requests == 0 || !strings.Contains(stderr, "closed loop: ") {
		t.Errorf("%d, %v\n%s%s", code, err, out, stderr)
	}
}

func TestFaultsAreLoggedAndReplayed(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	target := serve(t, 0)
	code, out, stderr := storms("-target", target, "-for", "0s", "-fault", "x=run:true,count=3,every=10ms", "-log", log)
	if code != 0 || !strings.Contains(out, "3 faults") {
		t.Fatalf("%d\n%s%s", code, out, stderr)
	}
	if text, err := os.ReadFile(log); err != nil || strings.Count(string(text), `"name":"x"`) != 3 {
		t.Fatalf("log %q, %v", text, err)
	}
	code, out, stderr = storms("-target", target, "-for", "0s", "-fault", "x=run:false", "-replay", log)
	if code != 1 || !strings.Contains(stderr, "fault x at ") || !strings.Contains(out, "3 faults") {
		t.Errorf("replayed with a fault that fails: %d\n%s%s", code, out, stderr)
	}
}

func TestWrongFlagsExitWith2(t *testing.T) {
	for _, args := range [][]string{
		{}, {"-nope"}, {"-target", ":80", "extra"}, {"-target", ":80", "-fault", "x"}, {"-target", ":80", "-for", "soon"},
		{"peers", "-nope"}, {"peers", "-workers", "0"}, {"peers", "-only", "iis"},
	} {
		if code, out, stderr := storms(args...); code != 2 || out != "" || stderr == "" {
			t.Errorf("%v: exit %d, %q, %q", args, code, out, stderr)
		}
	}
	if code, out, stderr := storms("-target", "nowhere"); code != 1 || !strings.Contains(stderr, `storm: error: target "nowhere"`) {
		t.Errorf("a bad target: %d, %q, %q", code, out, stderr)
	}
	if code, _, stderr := storms("-h"); code != 0 || !strings.Contains(stderr, "go run ./scripts/storm -target") {
		t.Errorf("-h: %d, %q", code, stderr)
	}
}
