package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// serveFake answers every request at a control socket with the same lines. It
// hands each request line to seen.
func serveFake(path string, answer []byte, seen func(string)) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed: the test is over
			}
			go func() {
				defer c.Close()
				line, err := bufio.NewReader(c).ReadString('\n')
				if err != nil {
					return // connected only to see whether somebody is there
				}
				seen(line)
				_, _ = c.Write(answer)
			}()
		}
	}()
	return l, nil
}

// playPool is a process that is a pool: it says "listening", and "got LINE" for
// each request, and ends with the first stop, once its stdin ends.
func playPool() {
	stopped := make(chan struct{}, 16)
	_, err := serveFake(os.Args[1], []byte(`{"ok":true,"result":"stopping"}`+"\n"), func(line string) {
		fmt.Print("got ", line)
		stopped <- struct{}{}
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening")
	<-stopped
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	os.Exit(0)
}

// playStale leaves a socket behind that nobody listens on, as a killed master
// does.
func playStale() {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: os.Args[1], Net: "unix"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	l.SetUnlinkOnClose(false)
	os.Exit(0)
}
