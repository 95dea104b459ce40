package master

import (
	"errors"
	"net"
	"os"
	"testing"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"prefork/sockets"
)

func TestAStopWhileAnAddressIsWaitedForIsNoFailure(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	m := &master{log: hclog.NewNullLogger(), cfg: Config{Listen: []string{taken.Addr().String()}}}
	m.sig = &Signals{end: make(chan os.Signal, 1)}
	m.sig.end <- unix.SIGTERM
	_, err = m.prepare(1, seen(t, m.cfg))
	if !errors.Is(err, errStopped) || m.startCode(err) != ExitStopped {
		t.Errorf("%v, exit code %d: want %d", err, m.startCode(err), ExitStopped)
	}
}

func TestASocketThatNothingNamesIsTheConfigsMistake(t *testing.T) {
	m := &master{log: hclog.NewNullLogger(), cfg: Config{
		Listen: []string{"127.0.0.1:0"}, Where: map[string]string{"listen": "--listen"},
	}}
	passed, err := sockets.Parse("systemd:web")
	if err != nil {
		t.Fatal(err)
	}
	m.sockets = []*sockets.Socket{{FD: -1, Name: "web", Asked: passed, Adopted: true}}
	if _, err := m.prepare(1, seen(t, m.cfg)); m.startCode(err) != ExitConfig {
		t.Errorf("%v, exit code %d: want %d", err, m.startCode(err), ExitConfig)
	}
}

func seen(t *testing.T, cfg Config) wanted {
	t.Helper()
	w, err := look(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}
