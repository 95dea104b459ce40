package sockets

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// The variables of sd_listen_fds(3), and the first descriptor.
const (
	envPID   = "LISTEN_PID"
	envFDs   = "LISTEN_FDS"
	envNames = "LISTEN_FDNAMES"
	firstFD  = 3
)

// maxPassed bounds LISTEN_FDS: more descriptors than fs.nr_open allows by
// default (1,048,576, proc_sys_fs(5)) are a mistake, not a socket unit.
const maxPassed = 1 << 20

// ParsePassed reads the variables of sd_listen_fds(3) for the process pid:
// one name for each descriptor from 3 on, "" where LISTEN_FDNAMES is not set.
// Variables meant for another process, or none at all, give none.
func ParsePassed(pid int, listenPID, listenFDs, listenFDNames string) ([]string, error) {
	if listenPID == "" || listenFDs == "" {
		return nil, nil
	}
	p, err := strconv.ParseUint(listenPID, 10, 31)
	if err != nil || p == 0 {
		return nil, fmt.Errorf("%s=%q: want the number of a process", envPID, listenPID)
	}
	if int(p) != pid {
		return nil, nil
	}
	n, err := strconv.ParseUint(listenFDs, 10, 31)
	if err != nil || n > maxPassed {
		return nil, fmt.Errorf("%s=%q: want a number from 0 to %d", envFDs, listenFDs, maxPassed)
	}
	if n == 0 {
		return nil, nil
	}
	if listenFDNames == "" {
		return make([]string, n), nil
	}
	names := strings.Split(listenFDNames, ":")
	if len(names) != int(n) {
		return nil, fmt.Errorf("%s has %d names for %d descriptors in %s", envNames, len(names), n, envFDs)
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("%s: name %w", envNames, err)
		}
	}
	return names, nil
}

// Unset removes the variables of sd_listen_fds(3), so that no child takes
// them for its own.
func Unset() error {
	for _, key := range []string{envPID, envFDs, envNames} {
		if err := os.Unsetenv(key); err != nil {
			return fmt.Errorf("unset %s: %w", key, err)
		}
	}
	return nil
}

// passedNames is ParsePassed of this process' environment.
func passedNames() ([]string, error) {
	return ParsePassed(os.Getpid(), os.Getenv(envPID), os.Getenv(envFDs), os.Getenv(envNames))
}
