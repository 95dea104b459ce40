package worker

import (
	"net/http"
	"testing"
	"time"
)

// What the comment of Serve promises, and docs/reference/worker-contract.md.
func TestServeBoundsItsClients(t *testing.T) {
	s := newServer(http.NotFoundHandler())
	if s.ReadHeaderTimeout != 10*time.Second || s.IdleTimeout != 75*time.Second || s.MaxHeaderBytes != 32<<10 || s.WriteTimeout != 0 || s.ReadTimeout != 0 {
		t.Errorf("headers in %v, %d bytes of them, idle for %v, a request in %v, a response in %v",
			s.ReadHeaderTimeout, s.MaxHeaderBytes, s.IdleTimeout, s.ReadTimeout, s.WriteTimeout)
	}
	if progressTimeout != 30*time.Second {
		t.Errorf("progress in %v", progressTimeout)
	}
}
