package demo_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prefork/cmd/prefork/demo"
)

func TestRequestCountsInTheGlobalOfItsWorkerAndInTheStore(t *testing.T) {
	store := newFakeStore()
	v := newVisitor(t)
	workers := []*demo.Site{workerOf(store, 0), workerOf(store, 1)}
	var got struct {
		Worker struct{ Slot, Requests int64 }
		Shared int64
	}
	for i, slot := range []int{0, 1, 1, 0, 1} {
		v.ask(workers[slot], "POST", "/api/request", "", &got)
		if got.Worker.Slot != int64(slot) || got.Shared != int64(i+1) {
			t.Errorf("request %d: %+v", i, got)
		}
	}
	if got.Worker.Requests != 3 {
		t.Errorf("global of worker 1: %d, want 3", got.Worker.Requests)
	}
}

func TestPostOfAnotherSiteIsRefused(t *testing.T) {
	w := workerOf(newFakeStore(), 0)
	for _, c := range []struct {
		header, value string
		want          int
	}{
		{"Sec-Fetch-Site", "cross-site", 403},
		{"Sec-Fetch-Site", "same-site", 403},
		{"Sec-Fetch-Site", "same-origin", 200},
		{"Origin", "http://evil.example", 403},
		{"Origin", "null", 403},
		{"Origin", "http://127.0.0.1:8080", 200},
		{"X-Nothing", "", 200},
	} {
		for _, path := range []string{"/api/request", "/api/logout"} {
			v := newVisitor(t)
			v.header.Set(c.header, c.value)
			if answer := v.send(w, "POST", path, "{}"); answer.StatusCode != c.want {
				t.Errorf("%s with %s: %s: %s, want %d", path, c.header, c.value, answer.Status, c.want)
			}
		}
	}
}

func TestEveryAnswerClosesItsConnectionAndLocksThePageDown(t *testing.T) {
	w := workerOf(newFakeStore(), 0)
	for path, status := range map[string]int{
		"/": 200, "/demo.css": 200, "/demo.js": 200, "/favicon.svg": 200, "/api/pool": 200, "/api/me": 200,
		"/nothing": 404, "/api/login": 405,
	} {
		answer := newVisitor(t).send(w, "GET", path, "")
		if answer.StatusCode != status {
			t.Errorf("%s: %s, want %d", path, answer.Status, status)
		}
		if answer.Header.Get("Connection") != "close" {
			t.Errorf("%s: no Connection: close", path)
		}
		if csp := answer.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
}

func TestPageNeedsNothingFromElsewhere(t *testing.T) {
	for _, path := range []string{"/", "/demo.css", "/demo.js"} {
		answer := newVisitor(t).send(workerOf(newFakeStore(), 0), "GET", path, "")
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		s := strings.ReplaceAll(string(text), "http://127.0.0.1:8080", "")
		for _, bad := range []string{"http://", "https://", "@import", "innerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=", " onclick="} {
			if strings.Contains(s, bad) {
				t.Errorf("%s has %q", path, bad)
			}
		}
	}
}

func TestUnchangedFileIsNotSentAgain(t *testing.T) {
	w := workerOf(newFakeStore(), 0)
	v := newVisitor(t)
	v.header.Set("If-None-Match", v.send(w, "GET", "/demo.js", "").Header.Get("ETag"))
	if answer := v.send(w, "GET", "/demo.js", ""); answer.StatusCode != http.StatusNotModified {
		t.Errorf("second answer: %s", answer.Status)
	}
}

type poolAnswer struct {
	Workers []struct{ Slot, PID, Generation, Requests int }
}

func TestRosterShowsTheNewerWorkerOfASlotAndForgetsWhoLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		v := newVisitor(t)
		start := func(pid, generation int) context.CancelFunc {
			ctx, cancel := context.WithCancel(t.Context())
			site := demo.New(demo.Options{
				Worker:  demo.Worker{Slot: 3, PID: pid, Generation: generation, Started: time.Now()},
				Globals: new(demo.Globals), Store: store, Command: "prefork",
			})
			go site.Announce(ctx)
			synctest.Wait()
			return cancel
		}
		pids := func() []int {
			<-time.After(3 * time.Second) // on the bubble's clock: some beats pass
			synctest.Wait()
			var got poolAnswer
			v.ask(workerOf(store, 0), "GET", "/api/pool", "", &got)
			var list []int
			for _, w := range got.Workers {
				list = append(list, w.PID)
			}
			return list
		}
		expect := func(when string, want ...int) {
			t.Helper()
			got := pids()
			if len(got) != len(want) || (len(want) > 0 && got[0] != want[0]) {
				t.Errorf("%s: pids %v, want %v", when, got, want)
			}
		}
		old := start(11, 1)
		expect("one worker", 11)
		next := start(22, 2)
		expect("old one drains beside the new one", 22)
		old()
		expect("old one left", 22)
		next()
		expect("all left")
	})
}
