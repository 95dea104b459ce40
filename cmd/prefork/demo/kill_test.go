package demo_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"prefork/cmd/prefork/demo"
)

// killable serves a worker over TCP and gives what its kill does.
func killable(t *testing.T) (url string, killed chan struct{}) {
	t.Helper()
	killed = make(chan struct{}, 1)
	site := demo.New(demo.Options{
		Worker:  demo.Worker{Slot: 2, PID: 4711, Generation: 1, Started: time.Now()},
		Globals: new(demo.Globals), Store: newFakeStore(), Command: "prefork",
		Kill: func() { killed <- struct{}{} },
	})
	s := httptest.NewServer(site)
	t.Cleanup(s.Close)
	return s.URL, killed
}

func TestKilledWorkerHasAnsweredBefore(t *testing.T) {
	hold := make(chan struct{})
	site := demo.New(demo.Options{
		Worker:  demo.Worker{Slot: 2, PID: 4711, Generation: 1, Started: time.Now()},
		Globals: new(demo.Globals), Store: newFakeStore(), Command: "prefork",
		Kill: func() { <-hold }, // the process is no more: nothing is written from here on
	})
	s := httptest.NewServer(site)
	defer s.Close()
	defer close(hold)
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "POST /api/kill HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for !strings.Contains(text.String(), `"requests":0,"uptime_ms"`) || !strings.HasSuffix(text.String(), "}}") {
		b := make([]byte, 4096)
		n, err := c.Read(b)
		if err != nil {
			t.Fatalf("%v after %q", err, text.String())
		}
		text.Write(b[:n])
	}
	if !strings.Contains(text.String(), `"slot":2,"pid":4711`) || !strings.Contains(text.String(), "Connection: close") {
		t.Errorf("%s", text.String())
	}
}

func TestKillIsForThePageAlone(t *testing.T) {
	url, killed := killable(t)
	for _, c := range []struct {
		method, contentType, header, value, body string
		want                                     int
	}{
		{"GET", "", "", "", "", 405},
		{"POST", "application/x-www-form-urlencoded", "", "", "a=b", 400},
		{"POST", "text/plain", "", "", "{}", 400},
		{"POST", "application/json", "Sec-Fetch-Site", "cross-site", "{}", 403},
		{"POST", "application/json", "Origin", "http://evil.example", "{}", 403},
		{"POST", "application/json", "", "", `{"pid":1}`, 400},
		{"POST", "application/json", "Sec-Fetch-Site", "same-origin", "{}", 200},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, url+"/api/kill", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", c.contentType)
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != c.want {
			t.Errorf("%+v: %s", c, answer.Status)
		}
		if c.want == 200 {
			<-killed
		} else if len(killed) != 0 {
			t.Fatalf("%+v: killed", c)
		}
	}
}
