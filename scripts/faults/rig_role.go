//go:build faults

package faults

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// rolePrefix marks a start of the test binary as a role: its first argument.
// It is an argument and no variable, so that a reload can go to another role.
const rolePrefix = "role:"

var roles = map[string]func(args []string){}

// Role registers a program that runs in processes of its own: the test binary,
// executed with the command that RoleCommand gives, calls run and exits with
// 0 when it returns. Call it from a package variable or init function.
func Role(name string, run func(args []string)) struct{} {
	if _, ok := roles[name]; ok {
		panic("faults: role " + name + " registered twice")
	}
	roles[name] = run
	return struct{}{}
}

// RoleCommand is the worker command that runs a role.
func RoleCommand(t testing.TB, name string, args ...string) []string {
	t.Helper()
	if _, ok := roles[name]; !ok {
		t.Fatalf("no role %q", name)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{self, rolePrefix + name}, args...)
}

// Main is the package's TestMain: it turns a process that was started for a
// role into that role, else runs the tests and removes what they built.
func Main(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], rolePrefix) {
		name := strings.TrimPrefix(os.Args[1], rolePrefix)
		run, ok := roles[name]
		if !ok {
			fmt.Fprintf(os.Stderr, "no role %q\n", name)
			os.Exit(2)
		}
		run(os.Args[2:])
		os.Exit(0)
	}
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}
