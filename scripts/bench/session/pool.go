package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startTimeout bounds the start of the pool.
const startTimeout = 30 * time.Second

// pool is prefork with two workers.
type pool struct {
	dir, socket string
	cmd         *exec.Cmd
}

func startPool(binary string) (p *pool, err error) {
	dir, err := os.MkdirTemp("", "bs") // short: a socket's path holds 107 bytes
	if err != nil {
		return nil, err
	}
	p = &pool{dir: dir, socket: filepath.Join(dir, "web")}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start a pool: %w", err), p.stop())
		}
	}()
	if binary == "" {
		binary = filepath.Join(dir, "prefork")
		if out, err := exec.Command("go", "build", "-o", binary, "prefork/cmd/prefork").CombinedOutput(); err != nil {
			return p, fmt.Errorf("%w: %s", err, out)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return p, err
	}
	p.cmd = exec.Command(binary, "run", "--control", filepath.Join(dir, "control"), "--log-level", "error",
		"-l", "unix:"+p.socket, "-w", "2", "--env", envWorker+"=1", "--", self)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		p.cmd = nil
		return p, err
	}
	// --ready fails until all workers are; it is asked again at once.
	for until := time.Now().Add(startTimeout); ; {
		out, err := exec.Command(binary, "status", "--control", filepath.Join(dir, "control"), "--ready").CombinedOutput()
		if err == nil {
			return p, nil
		}
		if time.Now().After(until) {
			return p, fmt.Errorf("not ready after %v: %s", startTimeout, bytes.TrimSpace(out))
		}
	}
}

func (p *pool) stop() error {
	var err error
	if p.cmd != nil {
		err = errors.Join(p.cmd.Process.Signal(syscall.SIGTERM), p.cmd.Wait())
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

// cpu gives the time of processors that the workers have had so far.
func (p *pool) cpu() (time.Duration, error) {
	pid := strconv.Itoa(p.cmd.Process.Pid)
	tasks, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	if err != nil {
		return 0, err
	}
	var all time.Duration
	for _, path := range tasks {
		children, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		for child := range strings.FieldsSeq(string(children)) {
			ticks, err := ticksOf(child)
			if err != nil {
				return 0, err
			}
			all += time.Duration(ticks) * (time.Second / 100) // proc_pid_stat(5): USER_HZ, 100 everywhere
		}
	}
	return all, nil
}

// ticksOf gives user and system time of a process, fields 14 and 15.
func ticksOf(pid string) (ticks int64, err error) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(text), ") ") // the name may have spaces
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat of %s has %d fields", pid, len(fields)+2)
	}
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return ticks, nil
}
