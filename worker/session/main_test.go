package session_test

import (
	"fmt"
	"os"
	"testing"
)

// roleEnv names the role that the test binary plays when a test has started it
// as a worker.
const roleEnv = "SESSION_TEST_ROLE"

var roles = map[string]func() error{}

func TestMain(m *testing.M) {
	name, ok := os.LookupEnv(roleEnv)
	if !ok {
		os.Exit(m.Run())
	}
	run := roles[name]
	if run == nil {
		run = func() error { return fmt.Errorf("role %q is not known", name) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
