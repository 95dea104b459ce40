package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/store"
)

// serve gives the processes what they share.
func (p *processes) serve(entries int) (env []string, files []*os.File, err error) {
	if p.kind == "map" {
		return nil, nil, nil
	}
	if p.kind == "store" {
		file, err := p.makeStore(storeSize(entries))
		return nil, []*os.File{file}, err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, nil, err
	}
	p.close = append(p.close, func() error { return os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	program, args := "redis-server", redisArguments(path)
	if p.kind == "memcached" {
		program, args = "memcached", []string{"-s", path, "-m", strconv.Itoa(max(64, entries/1024)), "-t", "2", "-u", "root"}
	}
	end, err := startServer(path, program, args...)
	if err == nil {
		p.close = append(p.close, end)
	}
	return []string{envSocket + "=" + path}, nil, err
}

func redisArguments(socket string) []string {
	return []string{"--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--loglevel", "warning", "--dir", filepath.Dir(socket)}
}

// storeSize is room for so many entries of the bench, three blocks of 128
// bytes each, with their index and as much again; at least what a pool has
// when nobody says anything.
func storeSize(entries int) int64 { return max(store.DefaultSize, int64(entries)*3*128*2) }

// makeStore makes a store and gives its descriptor as a file.
func (p *processes) makeStore(size int64) (*os.File, error) {
	segment, err := store.Create(store.Config{Size: size, Full: store.RefuseFull})
	if err != nil {
		return nil, err
	}
	p.close = append(p.close, segment.Close)
	// os/exec asks a file for Fd: it gets one of its own.
	fd, err := unix.FcntlInt(uintptr(segment.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(fd), "store")
	p.close = append(p.close, file.Close)
	return file, nil
}

// startServer starts a server and waits until its socket is connected to.
func startServer(socket, program string, args ...string) (end func() error, err error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("missing: %s: %w", program, err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var ending error
	ended := make(chan struct{})
	go func() { ending = cmd.Wait(); close(ended) }()
	end = func() error {
		_ = cmd.Process.Signal(unix.SIGTERM) // it may have ended, which Wait tells
		select {
		case <-ended:
			return nil
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
			return fmt.Errorf("%s did not end at TERM", program)
		}
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for {
		c, err := connect(socket)
		if err == nil {
			return end, unix.Close(c.fd)
		}
		select {
		case <-tick.C:
		case <-ended:
			return nil, fmt.Errorf("%s ended: %w", program, ending)
		case <-late:
			return nil, errors.Join(fmt.Errorf("%s does not listen on %s", program, socket), end())
		}
	}
}
