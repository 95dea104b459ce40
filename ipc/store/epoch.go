package store

import (
	"context"
	"fmt"
	"sync/atomic"
)

// epoch is one word of the segment.
type epoch struct{ word *atomic.Uint64 }

func (p epoch) Load() uint64 { return p.word.Load() }

func (p epoch) Bump(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("bump epoch: %w", err)
	}
	p.word.Add(1)
	return nil
}

// Epoch implements Store. Names live as long as the store; ErrFull: there are
// MaxEpochs of them. A name is its 64-bit keyed hash: that two share one is as
// good as impossible.
func (e *Embedded) Epoch(ctx context.Context, name string) (Epoch, error) {
	if err := e.enter(ctx, len(name), 0); err != nil {
		return nil, fmt.Errorf("epoch %q: %w", name, err)
	}
	hash := max(1, e.hashOf(kindEpoch, name))
	// Claimed by one store, so that nothing is ever half there.
	for i := range uint64(MaxEpochs) {
		at := offEpochs + 2*int((hash+i)%MaxEpochs)
		have := e.m.get(at)
		if have == hash || have == 0 && (e.m.cas(at, 0, hash) || e.m.get(at) == hash) {
			return epoch{&e.m[at+1]}, nil
		}
	}
	return nil, fmt.Errorf("epoch %q: %w: %d names", name, ErrFull, MaxEpochs)
}
