package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strconv"

	"prefork/ipc/scoreboard"
	"prefork/sockets"
)

// What a worker of the bench is told.
const (
	envStrategy = "BENCH_ACCEPT_STRATEGY"
	envWorkers  = "BENCH_ACCEPT_WORKERS"
	envSlot     = "BENCH_ACCEPT_SLOT"
	envCell     = "BENCH_ACCEPT_CELL"

	fdListener   = 3
	fdScoreboard = 4
)

// What a client asks for with its first byte. The answer is the slot, two
// bytes; then the connection is closed, or held until the client closes it.
const (
	askOnce = 'o'
	askHold = 'h'
)

// runWorker accepts until something goes wrong.
func runWorker() error {
	slot, err := strconv.Atoi(os.Getenv(envSlot))
	if err != nil {
		return err
	}
	workers, err := strconv.Atoi(os.Getenv(envWorkers))
	if err != nil {
		return err
	}
	index, err := strconv.Atoi(os.Getenv(envCell))
	if err != nil {
		return err
	}
	cell, err := scoreboard.Open(fdScoreboard, index)
	if err != nil {
		return err
	}
	l, err := listen(os.Getenv(envStrategy), workers, cell)
	if err != nil {
		return err
	}
	cell.SetState(scoreboard.StateReady)
	go func() {
		// The end of stdin is the end of the bench.
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println("ready")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		cell.AddConnections(1)
		go func() {
			serve(c, slot)
			cell.AddConnections(-1)
		}()
	}
}

func listen(strategy string, workers int, cell *scoreboard.Cell) (net.Listener, error) {
	if strategy == filelistener {
		return net.FileListener(os.NewFile(fdListener, "listener"))
	}
	s, err := sockets.ParseStrategy(strategy)
	if err != nil {
		return nil, err
	}
	return sockets.Accept(fdListener, sockets.AcceptOptions{
		Strategy: s,
		Workers:  workers,
		Held:     func() int { return int(cell.Connections()) },
		Share: func() int {
			_, mean := cell.Share()
			return int(math.Ceil(mean))
		},
	})
}

func serve(c net.Conn, slot int) {
	defer func() { _ = c.Close() }()
	b := []byte{0}
	if _, err := io.ReadFull(c, b); err != nil {
		return
	}
	if _, err := c.Write([]byte{byte(slot), byte(slot >> 8)}); err != nil {
		return
	}
	if b[0] == askHold {
		if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, net.ErrClosed) {
			return // the client resets its connections
		}
	}
}
