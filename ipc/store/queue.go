package store

import (
	"context"
	"sync"
)

// queues has those of this process that wait for one lock or semaphore stand in
// line.
type queues struct {
	mu    sync.Mutex
	names map[queueName]*queue
}

type queueName struct {
	kind uint8
	name string
}

type queue struct {
	turn  chan struct{} // holds one value while nobody waits in the kernel
	users int           // guarded by queues.mu
}

// enter waits for the turn at a name.
func (q *queues) enter(ctx context.Context, kind uint8, of string) (leave func(), err error) {
	name := queueName{kind, of}
	q.mu.Lock()
	if q.names == nil {
		q.names = make(map[queueName]*queue)
	}
	line := q.names[name]
	if line == nil {
		line = &queue{turn: make(chan struct{}, 1)}
		line.turn <- struct{}{}
		q.names[name] = line
	}
	line.users++
	q.mu.Unlock()
	out := func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if line.users--; line.users == 0 {
			delete(q.names, name)
		}
	}
	select {
	case <-line.turn:
		return func() { line.turn <- struct{}{}; out() }, nil
	case <-ctx.Done():
		out()
		return nil, ctx.Err()
	}
}
