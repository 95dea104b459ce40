package worker

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A connection that is not tracked is not lingered for: its requests are lost
// at a drain.
func TestConnectionsOfBothNetworksAreTracked(t *testing.T) {
	for _, c := range []struct{ network, address string }{
		{"tcp", "127.0.0.1:0"},
		{"unix", filepath.Join(t.TempDir(), "s")},
	} {
		ln, err := net.Listen(c.network, c.address)
		if err != nil {
			t.Fatal(err)
		}
		client, err := net.Dial(c.network, ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		set := &connSet{}
		taken := set.add(accepted, time.Minute, http.StateNew)
		if _, ok := taken.(*conn); !ok || set.open() != 1 {
			t.Fatalf("%s: a %T is not tracked", c.network, accepted)
		}
		text := strings.Repeat("x", 3*writeChunk)
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			if _, err := taken.(io.ReaderFrom).ReadFrom(strings.NewReader(text)); err != nil {
				t.Errorf("%s: ReadFrom: %v", c.network, err)
			}
			if err := taken.Close(); err != nil {
				t.Errorf("%s: close: %v", c.network, err)
			}
		}()
		if got, err := io.ReadAll(client); err != nil || string(got) != text {
			t.Errorf("%s: the client read %d bytes, %v; want %d", c.network, len(got), err, len(text))
		}
		<-closed // the client sees the end before Close has returned
		if set.open() != 0 {
			t.Errorf("%s: still counted after its close", c.network)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
	}
}
