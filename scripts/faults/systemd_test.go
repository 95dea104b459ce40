//go:build faults

package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"prefork/master/control"
)

// programInside is where the test binary, and with it its roles, is in a machine.
const programInside = "/usr/local/lib/faults"

// installPrefork puts the binary and the shipped units into a machine, as
// docs/how-to/systemd.md says.
func installPrefork(t testing.TB, m *Machine) {
	t.Helper()
	m.Copy(t, Prefork(t), "/usr/local/bin/prefork", 0o755)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m.Copy(t, self, programInside, 0o755)
	for _, unit := range []string{"prefork@.service", "prefork@.socket"} {
		m.Copy(t, filepath.Join(moduleRoot(), "scripts/systemd", unit), "/etc/systemd/system/"+unit, 0o644)
	}
	m.Must(t, "systemctl", "daemon-reload")
}

// instance is a pool under systemd: prefork@NAME in a machine.
type instance struct {
	*Machine
	name string
}

func (i instance) unit() string { return "prefork@" + i.name + ".service" }

// config writes the instance's file; the command is a role of the test binary.
func (i instance) config(t testing.TB, lines, role string, args ...string) {
	t.Helper()
	command, err := json.Marshal(append([]string{programInside, rolePrefix + role}, args...))
	if err != nil {
		t.Fatal(err)
	}
	i.Write(t, "/etc/prefork/"+i.name+".toml", fmt.Sprintf("%s\ncommand = %s\n", lines, command), 0o644)
}

func (i instance) status(t testing.TB) control.Status {
	t.Helper()
	var s control.Status
	if err := json.Unmarshal([]byte(i.Must(t, "prefork", "status", "--json", i.name)), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// show gives a property of the unit.
func (i instance) show(t testing.TB, property string) string {
	t.Helper()
	return strings.TrimSpace(i.Must(t, "systemctl", "show", "--value", "-p", property, i.unit()))
}

// oneAnswer sends one request on a connection of its own.
func oneAnswer(t testing.TB, dial func() (net.Conn, error)) string {
	t.Helper()
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body, _, err := exchange(conn, bufio.NewReader(conn), false)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// The role "gated" is the role "web" behind a gate: a FIFO that a byte must
// come through before the worker joins the pool.
var _ = Role("gated", func(args []string) {
	if _, err := os.ReadFile(args[0]); err != nil {
		fmt.Fprintln(os.Stderr, "gated:", err)
		os.Exit(1)
	}
	roles["web"](nil)
})

func TestUnderRealSystemdUnitsVerifySilently(t *testing.T) {
	m := BootSystemd(t)
	installPrefork(t, m)
	m.Write(t, "/etc/prefork/web.toml", "command = [\"true\"]\n", 0o644)
	for _, unit := range []string{"prefork@web.service", "prefork@web.socket"} {
		code, out := m.Run(t, "systemd-analyze", "verify", unit)
		// It follows the dependencies to what the host has installed.
		foreign := regexp.MustCompile(`(?m)^(/usr)?/lib/systemd/system/.*\n`)
		if said := foreign.ReplaceAllString(out, ""); code != 0 || said != "" {
			t.Errorf("systemd-analyze verify %s: exit %d\n%s", unit, code, said)
		}
	}
}

// READY=1 comes when every worker is ready, not before; a stop ends the unit
// with success and leaves nothing.
func TestUnderRealSystemdReadyComesWhenThePoolServes(t *testing.T) {
	m := BootSystemd(t)
	installPrefork(t, m)
	web := instance{m, "web"}
	m.Must(t, "mkfifo", "/run/gate.0", "/run/gate.1")
	web.config(t, "listen = [\"127.0.0.1:8080\"]\nworkers = 2", "gated", "/run/gate.{slot}")

	m.Must(t, "systemctl", "start", "--no-block", web.unit())
	// The write returns when the worker of that slot has opened the gate.
	m.Must(t, "sh", "-c", "echo go > /run/gate.0")
	Eventually(t, "slot 0 is ready", func() bool {
		code, out := m.Run(t, "prefork", "status", "--json", "web")
		var s control.Status
		return code == 0 && json.Unmarshal([]byte(out), &s) == nil && len(Ready(s)) == 1
	})
	if state := web.show(t, "ActiveState"); state != "activating" {
		t.Errorf("with one of two workers ready the unit is %s", state)
	}
	if text := web.show(t, "StatusText"); !strings.Contains(text, "1 of 2") {
		t.Errorf("STATUS= says %q, want the workers that are ready", text)
	}
	m.Must(t, "sh", "-c", "echo go > /run/gate.1")
	m.Must(t, "systemctl", "start", web.unit()) // returns when the unit is active
	dial := m.Dialer(t, "tcp", "127.0.0.1:8080", 1)
	if pid := oneAnswer(t, dial); pid == "" {
		t.Error("the pool is ready and answers nothing")
	}

	m.Must(t, "systemctl", "stop", web.unit())
	if state, result := web.show(t, "ActiveState"), web.show(t, "Result"); state != "inactive" || result != "success" {
		t.Errorf("after the stop the unit is %s, result %s", state, result)
	}
	if code, out := m.Run(t, "pgrep", "-f", programInside); code != 1 {
		t.Errorf("workers are left after the stop: %s", out)
	}
	if code, out := m.Run(t, "ls", "/run/prefork/web"); code == 0 {
		t.Errorf("the runtime directory is left after the stop: %s", out)
	}
}

func TestUnderRealSystemdReloadLosesNothing(t *testing.T) {
	m := BootSystemd(t)
	installPrefork(t, m)
	web := instance{m, "web"}
	web.config(t, "listen = [\"127.0.0.1:8080\"]\nworkers = 4", "web")
	m.Must(t, "systemctl", "start", web.unit())
	main := web.show(t, "MainPID")

	load := StartLoad(t, m.Dialer(t, "tcp", "127.0.0.1:8080", 8), 8)
	load.Until(t, 1000)
	rounds := Count(t, 20)
	began := time.Now()
	for round := range rounds {
		m.Must(t, "systemctl", "reload", web.unit())
		if g := web.status(t).Generation; g != round+2 {
			t.Fatalf("generation %d after %d reloads", g, round+1)
		}
		load.Until(t, 200)
	}
	took := time.Since(began)
	tally := load.Stop()
	Figure(t, "systemctl-reload", "%d reloads in %v: %v", rounds, took.Round(time.Millisecond), tally)
	if tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
	if now := web.show(t, "MainPID"); now != main {
		t.Errorf("the master was %s and is %s", main, now)
	}
}

func TestUnderRealSystemdFailingReloadSaysWhy(t *testing.T) {
	m := BootSystemd(t)
	installPrefork(t, m)
	web := instance{m, "web"}
	const good = "listen = [\"127.0.0.1:8080\"]\nworkers = 2"
	web.config(t, good, "web")
	m.Must(t, "systemctl", "start", web.unit())
	before := web.status(t)

	for _, c := range []struct{ what, lines, role, reason string }{
		{"a program that exits at once", good, "broken", BrokenReason},
		{"an unknown key", good + "\nwrokers = 3", "web", "/etc/prefork/web.toml:3"},
	} {
		web.config(t, c.lines, c.role)
		if code, out := m.Run(t, "systemctl", "reload", web.unit()); code == 0 {
			t.Errorf("%s: systemctl reload succeeds: %s", c.what, out)
		}
		code, status := m.Run(t, "systemctl", "status", "--no-pager", "--full", web.unit())
		if code != 0 || !strings.Contains(status, c.reason) {
			t.Errorf("%s: systemctl status (exit %d) does not show %q:\n%s", c.what, code, c.reason, status)
		}
		if text := web.show(t, "StatusText"); !strings.Contains(text, c.reason) {
			t.Errorf("%s: STATUS= does not show %q: %s", c.what, c.reason, text)
		}
		now := web.status(t)
		if fmt.Sprint(PIDs(Ready(now))) != fmt.Sprint(PIDs(Ready(before))) {
			t.Errorf("%s: workers were %v and are %v", c.what, Ready(before), Ready(now))
		}
	}

	web.config(t, good, "web")
	m.Must(t, "systemctl", "reload", web.unit())
	if text := web.show(t, "StatusText"); strings.Contains(text, "web.toml:3") {
		t.Errorf("STATUS= still shows the failure: %s", text)
	}
}

// With the socket unit a master that is killed refuses nobody: its socket is
// in systemd's hands, and its workers finish while the next ones start.
func TestUnderRealSystemdKilledMasterRefusesNobody(t *testing.T) {
	m := BootSystemd(t)
	installPrefork(t, m)
	web := instance{m, "web"}
	web.config(t, "workers = 4", "web")
	m.Write(t, "/etc/systemd/system/prefork@web.socket.d/listen.conf", "[Socket]\nListenStream=\nListenStream=127.0.0.1:8080\n", 0o644)
	m.Must(t, "systemctl", "daemon-reload")
	m.Must(t, "systemctl", "start", "prefork@web.socket")

	load := StartLoad(t, m.Dialer(t, "tcp", "127.0.0.1:8080", 8), 8)
	load.Until(t, 1000) // the first connection has started the service
	rounds := Count(t, 20)
	for range rounds {
		main := web.show(t, "MainPID")
		m.Must(t, "kill", "-KILL", main)
		Eventually(t, "the unit is active with another master", func() bool {
			now := web.show(t, "MainPID")
			return now != main && now != "0" && web.show(t, "ActiveState") == "active"
		})
		load.Until(t, 200)
	}
	tally := load.Stop()
	Figure(t, "systemd-master-kill", "%d SIGKILLs of the master with the socket unit: %v", rounds, tally)
	if tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
	m.Must(t, "systemctl", "stop", "prefork@web.socket", web.unit())
	Eventually(t, "the killed masters' workers are gone", func() bool {
		code, _ := m.Run(t, "pgrep", "-f", programInside)
		return code == 1
	})
}

// Stop and start with the socket unit: what arrives between them waits.
func TestUnderRealSystemdStopAndStartRefuseNobody(t *testing.T) {
	m := BootSystemd(t)
	installPrefork(t, m)
	web := instance{m, "web"}
	web.config(t, "workers = 4", "web")
	m.Write(t, "/etc/systemd/system/prefork@web.socket.d/listen.conf", "[Socket]\nListenStream=\nListenStream=127.0.0.1:8080\n", 0o644)
	m.Must(t, "systemctl", "daemon-reload")
	m.Must(t, "systemctl", "start", "prefork@web.socket")

	load := StartLoad(t, m.Dialer(t, "tcp", "127.0.0.1:8080", 8), 8)
	load.Until(t, 1000)
	rounds := Count(t, 20)
	for range rounds {
		m.Must(t, "systemctl", "restart", web.unit())
		load.Until(t, 200)
	}
	tally := load.Stop()
	Figure(t, "systemctl-restart", "%d restarts with the socket unit: %v", rounds, tally)
	if tally.Errors() > 0 {
		t.Errorf("%v: %v", tally, tally.First)
	}
}

func TestUnderRealSystemdInstancesReloadByName(t *testing.T) {
	m := BootSystemd(t)
	installPrefork(t, m)
	one, two := instance{m, "one"}, instance{m, "two"}
	one.config(t, "listen = [\"127.0.0.1:8081\"]\nworkers = 1", "web")
	two.config(t, "listen = [\"127.0.0.1:8082\"]\nworkers = 1", "web")
	m.Must(t, "systemctl", "start", one.unit(), two.unit())
	generations := func() string {
		return fmt.Sprintf("one %d, two %d", one.status(t).Generation, two.status(t).Generation)
	}
	m.Must(t, "systemctl", "reload", two.unit())
	if got := generations(); got != "one 1, two 2" {
		t.Errorf("after a reload of two: %s", got)
	}
	m.Must(t, "systemctl", "reload", one.unit())
	if got := generations(); got != "one 2, two 2" {
		t.Errorf("after a reload of one: %s", got)
	}
	// Without a name the commands cannot know which one is meant, and list both.
	code, out := m.Run(t, "prefork", "reload")
	if code == 0 || !strings.Contains(out, "one") || !strings.Contains(out, "two") {
		t.Errorf("prefork reload with two pools: exit %d\n%s", code, out)
	}
}
