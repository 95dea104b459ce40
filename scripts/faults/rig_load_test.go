//go:build faults

package faults

import (
	"bufio"
	"net"
	"net/http"
	"testing"
)

// The oracle itself: a load that counts no error where there are some would
// pass every test.
func TestLoadCountsWhatFails(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for n := 0; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return // closed below
			}
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil && n%2 == 0 {
				// A kept connection then ends without a word about it.
				_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
			}
			_ = c.Close()
		}
	}()
	load := StartLoad(t, Dial(ln.Addr().String()), 2)
	load.Until(t, 20)
	if x := load.Tally(); x.Failed == 0 || x.Refused != 0 {
		t.Errorf("with connections cut: %v", x)
	}
	_ = ln.Close()
	<-served
	Eventually(t, "a refused connection is counted", func() bool { return load.Tally().Refused > 0 })
	if x := load.Stop(); x.Errors() != x.Failed+x.Refused || len(x.First) == 0 || x.Workers["ok"] != x.Requests {
		t.Errorf("tally %v: %v", x, x.First)
	}
}
