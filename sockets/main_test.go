package sockets_test

import (
	"fmt"
	"os"
	"testing"
)

// roleEnv names the role that the test binary plays when a test has started
// it as another process.
const roleEnv = "SOCKETS_TEST_ROLE"

// roles are what the test binary can be besides a test run. A file that needs
// one adds it in a variable declaration: var _ = role("name", func() {...}).
// What it prints is read by the test; the exit code is 0 when it returns.
var roles = map[string]func(){}

func role(name string, run func()) string {
	if roles[name] != nil {
		panic("role " + name + " twice")
	}
	roles[name] = run
	return name
}

func TestMain(m *testing.M) {
	name, ok := os.LookupEnv(roleEnv)
	if !ok {
		os.Exit(m.Run())
	}
	run := roles[name]
	if run == nil {
		fmt.Fprintf(os.Stderr, "role %q is not known\n", name)
		os.Exit(2)
	}
	run()
	os.Exit(0)
}
