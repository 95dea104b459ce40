//go:build faults

package faults

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"prefork/ipc"
)

// storeClient is a program that uses the store with somebody else's library;
// ipc/resp/testdata/clients has them, and says how they are called.
type storeClient struct {
	name    string
	command []string
}

// storeClients gives those that can run here.
func storeClients(t *testing.T) []storeClient {
	t.Helper()
	dir := filepath.Join(moduleRoot(), "ipc/resp/testdata")
	in := func(name string) string { return filepath.Join(dir, "clients", name) }
	all := []struct {
		storeClient
		probe []string // fails where something is missing
	}{
		{storeClient{"redis-cli", []string{"sh", in("redis-cli.sh")}}, []string{"redis-cli", "--version"}},
		{storeClient{"redis-py", []string{"/usr/bin/python3", in("redis_py.py")}}, []string{"/usr/bin/python3", "-c", "import redis"}},
		{storeClient{"php-redis", []string{"php", in("php_session.php")}}, []string{"php", "-r", "exit(extension_loaded('redis') ? 0 : 1);"}},
		{storeClient{"ioredis", []string{"node", "ioredis.mjs"}}, []string{"npm", "--version"}},
		{storeClient{"go-redis", nil}, []string{"go", "list", "github.com/redis/go-redis/v9"}},
	}
	var found []storeClient
	for _, c := range all {
		if err := exec.Command(c.probe[0], c.probe[1:]...).Run(); err != nil {
			t.Run(c.name, func(t *testing.T) { t.Skipf("missing: %s: %v", strings.Join(c.probe, " "), err) })
			continue
		}
		switch c.command {
		case nil:
			c.command = []string{Build(t, "./ipc/resp/testdata/clients/goredis", false)}
		default:
			if c.command[0] == "node" {
				c.command[1] = inNodeModules(t, in(c.command[1]))
			}
		}
		found = append(found, c.storeClient)
	}
	return found
}

// nodeModules is a folder with the packages of ipc/resp/testdata/node, for all
// tests of this run; Main removes it with what it has built.
var nodeModules = struct {
	once sync.Once
	dir  string
	err  error
}{}

// inNodeModules copies a program to where it finds those packages.
func inNodeModules(t *testing.T, program string) string {
	t.Helper()
	nodeModules.once.Do(func() { nodeModules.dir, nodeModules.err = installNodeModules() })
	if nodeModules.err != nil {
		t.Skipf("missing: the packages of ipc/resp/testdata/node: %v", nodeModules.err)
	}
	path := filepath.Join(nodeModules.dir, filepath.Base(program))
	copyFile(t, program, path)
	return path
}

func installNodeModules() (string, error) {
	built, err := builtDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(built, "node")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(moduleRoot(), "ipc/resp/testdata/node", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			return "", err
		}
	}
	install := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w: %s", err, out)
	}
	return dir, nil
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a program in a worker, with the store's path and a phase.
func (x *caller) run(t *testing.T, c storeClient, phase string) {
	t.Helper()
	r, err := x.call(storeCall{Verb: "Run", Key: phase, Value: []byte(strings.Join(c.command, "\x00"))})
	if err != nil || r.Error != "" {
		t.Errorf("%s, %s in worker %d: %v %s\n%s", c.name, phase, x.PID, err, r.Error, r.Entry.Value)
	}
}

// runProgram is what a worker does with a call of the verb Run.
func (c storeCall) runProgram() (out []byte, err error) {
	args := strings.Split(string(c.Value), "\x00")
	path := strings.TrimPrefix(os.Getenv(ipc.EnvStore), "unix://")
	return exec.Command(args[0], append(args[1:], path, c.Key)...).CombinedOutput()
}

// twoOf gives both connections of one worker. Connections of several that
// come at once are sorted out.
func (c *called) twoOf(t *testing.T) [2]*caller {
	t.Helper()
	for {
		for pid, one := range c.single {
			if len(one) == 2 {
				delete(c.single, pid)
				return [2]*caller(one)
			}
		}
		x := c.next(t)
		if c.single == nil {
			c.single = map[int][]*caller{}
		}
		c.single[x.PID] = append(c.single[x.PID], x)
	}
}

// What a program with somebody else's client writes in one worker, the same
// program reads in the others: of the same generation, of the next one, beside
// a worker that was killed, and after the store helper was.
func TestRealClientsShareLogins(t *testing.T) {
	clients := storeClients(t)
	p := startCalled(t, 2, 2)
	writer, reader := p.twoOf(t), p.twoOf(t)
	// Two at once: as many as a caller has connections.
	each := func(x [2]*caller, phase string) {
		var wg sync.WaitGroup
		for i, one := range x {
			wg.Go(func() {
				for n, c := range clients {
					if n%2 == i {
						one.run(t, c, phase)
					}
				}
			})
		}
		wg.Wait()
	}
	each(writer, "write")
	each(reader, "read")
	p.Reload(t)
	writer, reader = p.twoOf(t), p.twoOf(t)
	if err := syscall.Kill(writer[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	each(p.twoOf(t), "read")
	helper := p.helper(t).PID
	if err := syscall.Kill(helper, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	each(reader, "read")
	if now := p.helper(t); now.PID == helper || now.Restarts < 1 {
		t.Errorf("the helper is %+v, was %d", now, helper)
	}
	var names []string
	for _, c := range clients {
		names = append(names, c.name)
	}
	Figure(t, "store-clients", "what %s wrote in one worker was read in another, after a reload and the kill of a worker, and after the kill of the helper", strings.Join(names, ", "))
}

// An express application with connect-redis: a login that one worker made is
// known to every other, through a reload, the death of workers and that of the
// store helper.
func TestExpressWorkersShareLogins(t *testing.T) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("missing: %s", tool)
		}
	}
	program := inNodeModules(t, filepath.Join("testdata/programs", "express.mjs"))
	p := Start(t, Options{Flags: []string{"-w", "2", "--settle", "0"}, Command: []string{"node", program}})
	addr := p.Addr(t)
	client := &http.Client{Timeout: Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func(path, cookie string) (pid, text, set string, err error) {
		request, err := http.NewRequest(http.MethodGet, "http://"+addr+path, nil)
		if err != nil {
			return "", "", "", err
		}
		if cookie != "" {
			request.Header.Set("Cookie", cookie)
		}
		answer, err := client.Do(request)
		if err != nil {
			return "", "", "", err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err == nil && answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %.300s", answer.Status, body)
		}
		pid, text, _ = strings.Cut(string(body), " ")
		set, _, _ = strings.Cut(answer.Header.Get("Set-Cookie"), ";")
		return pid, text, set, err
	}
	_, text, cookie, err := ask("/login/alice", "")
	if err != nil || text != "in" || cookie == "" {
		t.Fatalf("login: %q, cookie %q, %v\n%s", text, cookie, err, p.Err)
	}
	// knownToAll asks until every worker has answered. The helper's death may
	// cost a worker the command that was on its way.
	knownToAll := func(when string, mayFail int) {
		t.Helper()
		seen := map[string]bool{}
		late := time.Now().Add(Patience)
		workers := PIDs(p.settled(t, 2))
		for !(seen[fmt.Sprint(workers[0])] && seen[fmt.Sprint(workers[1])]) {
			pid, text, _, err := ask("/", cookie)
			if err != nil && mayFail > 0 {
				mayFail--
				continue
			}
			if err != nil || text != "alice" {
				t.Fatalf("%s: worker %s says %q, %v\n%s", when, pid, text, err, p.Err)
			}
			seen[pid] = true
			if time.Now().After(late) {
				t.Fatalf("%s: only %v of %v have answered", when, seen, workers)
			}
		}
	}
	knownToAll("at first", 0)
	p.Reload(t)
	knownToAll("after a reload", 0)
	for _, w := range p.settled(t, 2) {
		if err := syscall.Kill(w.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p.settled(t, 2, w)
	}
	knownToAll("after both workers were killed", 0)
	if err := syscall.Kill(p.helper(t).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	knownToAll("after the helper was killed", 2)
	if _, text, _, err := ask("/", ""); err != nil || text != "nobody" {
		t.Errorf("without the cookie: %q, %v", text, err)
	}
	Figure(t, "store-express", "a login with express and connect-redis was known to every worker, after a reload, after both workers were killed, and after the store helper was")
}
