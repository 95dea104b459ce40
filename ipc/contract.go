// Package ipc is the contract between a prefork master and its workers: the
// environment variables, the numbered descriptors behind them, and the bytes
// of the lifeline. Both sides import it, neither imports the other.
//
// The channels themselves are sub-packages: notify (datagrams, both
// directions), scoreboard (one cell a process, written by its worker alone)
// and store (what all workers share). What a worker can write is never
// trusted by the master.
package ipc

import (
	"bytes"
	"strconv"
	"strings"
)

// The variables that a worker finds in its environment. They are outputs of
// the master: it removes its own before a spawn and never reads them as
// configuration. docs/reference/worker-contract.md specifies each.
const (
	EnvListenFDs     = "LISTEN_FDS"     // how many sockets, from fd 3 on
	EnvListenPID     = "LISTEN_PID"     // the worker's own pid
	EnvListenFDNames = "LISTEN_FDNAMES" // their names, joined by ":"
	EnvNotifySocket  = "NOTIFY_SOCKET"  // the worker's own notify socket

	EnvSlot         = "PREFORK_SLOT"          // 0..N-1, stable
	EnvGeneration   = "PREFORK_GENERATION"    // from 1, one more at each reload
	EnvWorkers      = "PREFORK_WORKERS"       // the worker count when this one was started
	EnvID           = "PREFORK_ID"            // this process' id in the store, never used twice
	EnvStopSignal   = "PREFORK_STOP_SIGNAL"   // with prefix: "SIGTERM"
	EnvDrainTimeout = "PREFORK_DRAIN_TIMEOUT" // seconds, decimal: "30", "0.5"
	EnvFDs          = "PREFORK_FDS"           // name:number,name:number,...
	EnvStore        = "PREFORK_STORE"         // URL of the store for any Redis client; absent: there is none

	// For the Go worker library.
	EnvCell     = "PREFORK_CELL"      // this process' cell of the scoreboard; absent: it runs without one
	EnvLinger   = "PREFORK_LINGER"    // seconds, decimal: how long an idle connection may still bring a request
	EnvAccept   = "PREFORK_ACCEPT"    // accept strategy of each listener, joined by ","
	EnvMaxConns = "PREFORK_MAX_CONNS" // connections a worker holds at once; 0: no cap
)

// ListenFDStart is the first socket's descriptor, SD_LISTEN_FDS_START of
// sd_listen_fds(3).
const ListenFDStart = 3

// Names in PREFORK_FDS.
const (
	FDLifeline   = "lifeline"   // read end of a pipe of the worker's own; EOF: the master is gone
	FDScoreboard = "scoreboard" // the scoreboard's segment
	FDStore      = "store"      // the store's segment
	FDStderr     = "stderr"     // read end of the worker's own stderr pipe, kept open for the day the master dies
)

// Bytes on the lifeline; a worker ignores those that it does not know.
const (
	LifelineSweep = 's' // make one accept sweep: a worker died and may have taken a wake-up with it
	LifelineQuick = 'q' // linger 200 ms at the drain that follows: a person waits at a terminal
)

// Busy is what a process says to its notify socket after it has waited for a
// lock of the store in vain, as the line X_PREFORK_BUSY=SHARD:ID. The master
// looks for itself before it does anything about the holder.
type Busy struct {
	Shard int
	ID    uint64 // of the process that was seen to hold it
}

const busyLine = "X_PREFORK_BUSY="

// maxShard is above what any segment has.
const maxShard = 1 << 20

// String gives the line.
func (b Busy) String() string {
	return busyLine + strconv.Itoa(b.Shard) + ":" + strconv.FormatUint(b.ID, 10)
}

// ParseBusy finds the first such line in a datagram, nil when there is none
// that String writes.
func ParseBusy(datagram []byte) *Busy {
	for line := range bytes.SplitSeq(datagram, []byte{'\n'}) {
		text, ok := bytes.CutPrefix(line, []byte(busyLine))
		if !ok {
			continue
		}
		shard, id, _ := strings.Cut(string(text), ":")
		var b Busy
		var err, idErr error
		b.Shard, err = strconv.Atoi(shard)
		b.ID, idErr = strconv.ParseUint(id, 10, 63)
		if err == nil && idErr == nil && b.Shard >= 0 && b.Shard < maxShard && b.ID != 0 && b.String() == string(line) {
			return &b
		}
	}
	return nil
}
