package worker_test

import (
	"fmt"
	"os"
	"testing"
)

// roleEnv names the role that the test binary plays when a test has started
// it as a worker.
const roleEnv = "WORKER_TEST_ROLE"

var roles = map[string]func(){}

// role registers what the test binary can be besides a test run.
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

// fail ends a role.
func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
