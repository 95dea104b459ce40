package store

import (
	"context"
	"time"
)

// Failed is a store that could not be opened: every operation returns the
// error. It is for those who hand a Store on and have no error to hand on with
// it.
func Failed(err error) Store { return failed{err} }

type failed struct{ err error }

func (f failed) Get(context.Context, string) (Entry, bool, error) { return Entry{}, false, f.err }

func (f failed) Set(context.Context, string, []byte, Write) (uint64, error) { return 0, f.err }

func (f failed) Delete(context.Context, string, uint64) (bool, error) { return false, f.err }

func (f failed) Touch(context.Context, string, time.Duration) (bool, error) { return false, f.err }

func (f failed) Add(context.Context, string, int64) (int64, error) { return 0, f.err }

func (f failed) Scan(context.Context, uint64, int) ([]string, uint64, error) { return nil, 0, f.err }

func (f failed) Stats(context.Context) (Stats, error) { return Stats{}, f.err }

func (f failed) Lock(context.Context, string, time.Duration) (Token, error) { return Token{}, f.err }

func (f failed) Acquire(context.Context, string, int, time.Duration) (Token, error) {
	return Token{}, f.err
}

func (f failed) TryLock(context.Context, string, time.Duration) (Token, bool, error) {
	return Token{}, false, f.err
}

func (f failed) TryAcquire(context.Context, string, int, time.Duration) (Token, bool, error) {
	return Token{}, false, f.err
}

func (f failed) Unlock(context.Context, Token) error { return f.err }

func (f failed) Renew(context.Context, Token, time.Duration) error { return f.err }

func (f failed) Epoch(context.Context, string) (Epoch, error) { return nil, f.err }

func (f failed) Close() error { return nil }
