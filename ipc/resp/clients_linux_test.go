package resp_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"prefork/ipc/resp"
	"prefork/ipc/store"
)

// clientPrograms are real clients; testdata/clients/README.md says how they are
// called.
var clientPrograms = []struct {
	name    string
	needs   string // what is missing when it cannot run
	command func(t *testing.T) *exec.Cmd
}{
	{"redis-cli", "redis-cli (Debian package redis-tools)", func(t *testing.T) *exec.Cmd {
		if _, err := exec.LookPath("redis-cli"); err != nil {
			return nil
		}
		return exec.Command("sh", "testdata/clients/redis-cli.sh")
	}},
	{"go-redis", "github.com/redis/go-redis/v9 in go.mod", goredis},
	{"ioredis", "node and npm", node("ioredis.mjs")},
	{"node-redis", "node and npm", node("node_redis.mjs")},
	{"connect-redis", "node and npm", node("connect_redis.mjs")},
	{"redis-py", "redis for /usr/bin/python3 (Debian package python3-redis)", func(t *testing.T) *exec.Cmd {
		if exec.Command("/usr/bin/python3", "-c", "import redis").Run() != nil {
			return nil
		}
		return exec.Command("/usr/bin/python3", "testdata/clients/redis_py.py")
	}},
	{"php-redis", "php with redis (Debian packages php-cli, php-redis)", func(t *testing.T) *exec.Cmd {
		if exec.Command("php", "-r", "exit(extension_loaded('redis') ? 0 : 1);").Run() != nil {
			return nil
		}
		return exec.Command("php", "testdata/clients/php_session.php")
	}},
}

// node gives a program of Node. The packages are installed once, into a folder
// outside the source tree, as the lock file says.
func node(program string) func(t *testing.T) *exec.Cmd {
	return func(t *testing.T) *exec.Cmd {
		if _, err := exec.LookPath("npm"); err != nil {
			return nil
		}
		dir := nodeModules(t)
		text, err := os.ReadFile(filepath.Join("testdata/clients", program))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, program)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.Command("node", path)
	}
}

// installed is the folder with node_modules, for all tests of this run.
var installed string

func nodeModules(t *testing.T) string {
	if installed != "" {
		return installed
	}
	dir, err := os.MkdirTemp("", "prefork-resp-node")
	if err != nil {
		t.Fatal(err)
	}
	cleanups = append(cleanups, func() { _ = os.RemoveAll(dir) })
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join("testdata/node", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("missing: the packages of testdata/node, which npm ci cannot install: %v: %s", err, out)
	}
	installed = dir
	return dir
}

func goredis(t *testing.T) *exec.Cmd {
	if exec.Command("go", "list", "github.com/redis/go-redis/v9").Run() != nil {
		return nil
	}
	program := filepath.Join(t.TempDir(), "goredis")
	if out, err := exec.Command("go", "build", "-o", program, "./testdata/clients/goredis").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return exec.Command(program)
}

func TestRealClientsWorkUnmodified(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs seconds for each client, and -short was given")
	}
	for _, c := range clientPrograms {
		t.Run(c.name, func(t *testing.T) {
			cmd := c.command(t)
			if cmd == nil {
				t.Skip("missing: " + c.needs)
			}
			s := store.Private(store.Config{})
			path := serve(t, s, resp.Options{Version: "test"})
			for _, phase := range []string{"write", "read", "all"} {
				again := exec.Command(cmd.Path, append(cmd.Args[1:len(cmd.Args):len(cmd.Args)], path, phase)...)
				var out, errors bytes.Buffer
				again.Stdout, again.Stderr = &out, &errors
				if err := again.Run(); err != nil {
					t.Errorf("%s: %v: %s%s", phase, err, errors.String(), out.String())
				} else if phase == "all" {
					t.Logf("%d things work", strings.Count(out.String(), "ok "))
				}
			}
			if keys, next, err := s.Scan(t.Context(), 0, 1<<20); err != nil || next != 0 || len(keys) > 0 {
				t.Errorf("it left %q (%d, %v)", keys, next, err)
			}
		})
	}
}

// cleanups run when all tests have.
var cleanups []func()
