//go:build faults

package faults

import (
	"bufio"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// The role "burn" uses a processor until it is killed.
var _ = Role("burn", func([]string) {
	for i := 0; ; i++ {
		_ = i
	}
})

// More programs want the processors than there are, all the time: no worker
// is taken for hung or late and killed, and reloads lose nothing.
func TestReloadsOnStarvedProcessorsLoseNothing(t *testing.T) {
	for range 8 {
		command := RoleCommand(t, "burn")
		burn := exec.Command(command[0], command[1:]...)
		if err := startOnLastingThread(burn); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = burn.Process.Kill()
			_ = burn.Wait() // killed
		})
	}
	p := Start(t, Options{Flags: []string{"-w", "4"}, Command: RoleCommand(t, "named")})
	s := startStorm(t, p.Addr(t), 4, 4)
	rounds := Count(t, 50)
	for range rounds {
		s.until(t, 100)
		s.Mark("reload")
		p.Reload(t)
	}
	s.until(t, 100)
	r := s.stop(t)
	Figure(t, "starved-reload", "beside 8 busy processes, %d reloads: %s", rounds, brief(r))
	wantClean(t, r)
	for _, sign := range []string{"killing a worker", "worker ended by itself"} {
		if strings.Contains(p.Err.String(), sign) {
			t.Errorf("the log has %q", sign)
		}
	}
}

// ownNetwork wraps a pool into a network namespace of its own, after lines of
// shell in it.
func ownNetwork(t testing.TB, before string) []string {
	t.Helper()
	needPrograms(t, "unshare", "ip")
	if out, err := exec.Command("unshare", "-n", "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Skipf("missing: the right to make a network namespace: %v: %s", err, out)
	}
	// /proc/sys/net is that of the process that opens it: proc(5), network_namespaces(7).
	return []string{"unshare", "-n", "sh", "-c", "set -e; " + before + `; ip link set lo up; exec "$@"`, "sh"}
}

// The smallest queue that a kernel can be set to, and one that resets what
// does not fit: the pool runs, status shows the queue as it is, and one client
// after the other is served.
func TestSmallestQueueServes(t *testing.T) {
	p := Start(t, Options{
		Flags: []string{"-w", "2"}, Command: RoleCommand(t, "named"), Listen: []string{"127.0.0.1:0?backlog=4096"},
		Wrap: ownNetwork(t, "echo 1 >/proc/sys/net/core/somaxconn; echo 1 >/proc/sys/net/ipv4/tcp_abort_on_overflow"),
	})
	l := p.Status(t).Listeners[0]
	if l.Backlog != 1 {
		t.Errorf("status shows a queue of %d, the kernel has 1", l.Backlog)
	}
	dial := (&Machine{PID: p.PID}).Dialer(t, "tcp", l.Address, 2)
	ask := func() error {
		conn, err := dial()
		if err != nil {
			return err
		}
		defer conn.Close()
		_, _, err = exchange(conn, bufio.NewReader(conn), false)
		return err
	}
	rounds := Count(t, 20)
	for range rounds {
		for range 20 {
			if err := ask(); err != nil {
				t.Fatal(err)
			}
		}
		p.Reload(t)
	}
	p.Stop(t)
}

// An address that cannot be had ends the start with its name, the reason and
// exit code 1; TestWrongInputStartsNothing has the one that is in use.
func TestAddressThatCannotBeHadIsNamed(t *testing.T) {
	const noIPv6 = "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6"
	for _, c := range []struct {
		name, listen, before, reason string
	}{
		{"not of this machine", "192.0.2.1:8080", "", "cannot assign requested address"},
		{"IPv6 switched off", "[::1]:8080", noIPv6, "cannot assign requested address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{Flags: []string{"-w", "1"}, Listen: []string{c.listen}, Command: RoleCommand(t, "named"), NoWait: true}
			if c.before != "" {
				o.Wrap = ownNetwork(t, c.before)
			}
			p := Start(t, o)
			if code, sig := p.Wait(t); code != 1 {
				t.Errorf("exit %d (signal %v), want 1", code, sig)
			}
			for _, want := range []string{c.listen, c.reason} {
				if !strings.Contains(p.Err.String(), want) {
					t.Errorf("the log does not say %q:\n%s", want, p.Err)
				}
			}
		})
	}
}

// A listener on all addresses does without IPv6 where the kernel has it
// switched off.
func TestPoolOnAllAddressesStartsWithoutIPv6(t *testing.T) {
	p := Start(t, Options{
		Flags: []string{"-w", "1"}, Command: RoleCommand(t, "named"), Listen: []string{":0"},
		Wrap: ownNetwork(t, "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6"),
	})
	_, port, err := net.SplitHostPort(p.Status(t).Listeners[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&Machine{PID: p.PID}).Dialer(t, "tcp", "127.0.0.1:"+port, 1)()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, _, err := exchange(conn, bufio.NewReader(conn), false); err != nil {
		t.Error(err)
	}
}
