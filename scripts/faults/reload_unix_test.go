//go:build faults

package faults

import (
	"net"
	"testing"
)

// Over a Unix socket no request is lost either: kept connections linger there
// as they do over TCP.
func TestReloadOverAUnixSocketLosesNothing(t *testing.T) {
	sock := tempDir(t) + "/web"
	p := Start(t, Options{Listen: []string{"unix:" + sock}, Flags: []string{"-w", "2"}, Command: RoleCommand(t, "web")})
	load := StartLoad(t, func() (net.Conn, error) { return net.Dial("unix", sock) }, 4)
	for range Count(t, 50) {
		load.Until(t, 20)
		p.Reload(t)
	}
	load.Until(t, 20)
	tally := load.Stop()
	Figure(t, "reload-unix", "%v", tally)
	if tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
}
