package master

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// outputBound is how much output waits at most; what is over it is dropped
// and counted. A reader of the log that stands still never stops the loop.
const outputBound = 1 << 20

// chunkCost is what a chunk takes beside its text: its place in the queue and
// the allocator's rounding. A worker that writes a byte at a time would
// otherwise make 50 MB of the bound.
const chunkCost = 64

// outputPatience bounds the wait for the last lines at the end of a run.
const outputPatience = 2 * time.Second

// output is the log and the workers' captured stderr on their way out. A
// goroutine of its own writes, and it alone may block. Safe for concurrent
// use.
type output struct {
	file    *os.File
	journal *journal // nil: file is not the journal
	dropped atomic.Uint64
	ended   chan struct{}

	mu     sync.Mutex
	more   *sync.Cond
	queue  []chunk
	size   int
	closed bool
}

// chunk is one write: a log line (slot -1) or whole lines of one worker.
type chunk struct {
	slot int
	text []byte
}

func newOutput(f *os.File) *output {
	o := &output{file: f, journal: openJournal(f), ended: make(chan struct{})}
	o.more = sync.NewCond(&o.mu)
	go o.run()
	return o
}

// Write takes a line of the master's own log. It never blocks and never
// fails.
func (o *output) Write(p []byte) (int, error) {
	o.put(-1, p, nil)
	return len(p), nil
}

// lines takes whole lines of a worker.
func (o *output) lines(slot int, head, rest []byte) { o.put(slot, head, rest) }

func (o *output) put(slot int, head, rest []byte) {
	n := len(head) + len(rest)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.size+n+chunkCost > outputBound {
		o.dropped.Add(uint64(n))
		return
	}
	text := make([]byte, 0, n)
	text = append(append(text, head...), rest...)
	o.queue = append(o.queue, chunk{slot, text})
	o.size += n + chunkCost
	o.more.Signal()
}

func (o *output) run() {
	defer close(o.ended)
	for {
		o.mu.Lock()
		for len(o.queue) == 0 && !o.closed {
			o.more.Wait()
		}
		q := o.queue
		o.queue = nil
		closed := o.closed
		o.mu.Unlock()
		for _, c := range q {
			o.write(c)
			o.mu.Lock()
			o.size -= len(c.text) + chunkCost
			o.mu.Unlock()
		}
		if closed && len(q) == 0 {
			return
		}
	}
}

// write puts one chunk out. What fails is lost: there is nowhere to say so.
func (o *output) write(c chunk) {
	if o.journal != nil && c.slot >= 0 {
		o.dropped.Add(uint64(o.journal.lines(c.slot, c.text)))
		return
	}
	if _, err := o.file.Write(c.text); err != nil {
		o.dropped.Add(uint64(len(c.text)))
	}
}

// close waits for what is queued, not for ever.
func (o *output) close() {
	o.mu.Lock()
	o.closed = true
	o.more.Signal()
	o.mu.Unlock()
	select {
	case <-o.ended:
	case <-time.After(outputPatience):
	}
}
