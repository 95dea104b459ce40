package snapshot

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"time"

	"prefork/ipc/store"
)

const (
	buffer = 64 << 10 // bytes
	page   = 512      // keys of one Scan
)

// Source is what a snapshot needs of a store to be written: a store.Store is
// one, and a client of a store can be.
type Source interface {
	Scan(ctx context.Context, cursor uint64, count int) (keys []string, next uint64, err error)
	Get(ctx context.Context, key string) (e store.Entry, found bool, err error)
}

// Write writes a snapshot and gives the number of records. A key that Scan
// gives twice is written twice.
func Write(ctx context.Context, w io.Writer, s Source) (entries int, err error) {
	return write(ctx, w, s, time.Now)
}

func write(ctx context.Context, w io.Writer, s Source, now func() time.Time) (entries int, err error) {
	o := &writer{w: bufio.NewWriterSize(w, buffer), begun: now()}
	if err := o.sealed(header(o.begun)); err != nil {
		return 0, fmt.Errorf("write snapshot: %w", err)
	}
	for cursor := uint64(0); ; {
		var keys []string
		err := patiently(ctx, func() (err error) {
			keys, cursor, err = scan(ctx, s, cursor)
			return err
		})
		if err != nil {
			return entries, fmt.Errorf("write snapshot: %w", err)
		}
		for _, key := range keys {
			written, err := o.entry(ctx, s, key, now)
			if err != nil {
				return entries, fmt.Errorf("write snapshot: %w", err)
			}
			if written {
				entries++
			}
		}
		if cursor == 0 {
			break
		}
	}
	if err := o.end(entries); err != nil {
		return entries, fmt.Errorf("write snapshot: %w", err)
	}
	return entries, nil
}

// scan leaves the cursor where it was when there is an error.
func scan(ctx context.Context, s Source, cursor uint64) ([]string, uint64, error) {
	keys, next, err := s.Scan(ctx, cursor, page)
	if err != nil {
		return nil, cursor, err
	}
	return keys, next, nil
}

// writer writes records and keeps their sum.
type writer struct {
	w     *bufio.Writer
	sum   uint32
	begun time.Time // the time of writing in the header
	head  [headerLen]byte
}

// entry writes what the store has under a key, if it has it still. One that is
// damaged in the store is nobody's to read any more, and left out: it must not
// cost the others.
func (o *writer) entry(ctx context.Context, s Source, key string, now func() time.Time) (written bool, err error) {
	var e store.Entry
	var found bool
	get := s.Get
	if p, ok := s.(interface {
		Peek(ctx context.Context, key string) (store.Entry, bool, error)
	}); ok {
		get = p.Peek // the order of use is the users'
	}
	err = patiently(ctx, func() (err error) {
		e, found, err = get(ctx, key)
		return err
	})
	switch {
	case errors.Is(err, store.ErrCorrupt):
		return false, nil
	case err != nil || !found:
		return false, err
	case len(key) > store.MaxKey || len(e.Value) > store.MaxValue: // of a server with other bounds
		return false, fmt.Errorf("entry %.64q: %w: key of %d, value of %d bytes", key, store.ErrTooLarge, len(key), len(e.Value))
	}
	h := head{tag: tagEntry, key: len(key), value: len(e.Value)}
	if e.TTL > 0 {
		since := max(0, now().Sub(o.begun))
		h.expiry = int64(min(e.TTL, math.MaxInt64-since) + since)
	}
	if err := o.part(h.append(o.head[:0])); err != nil {
		return false, err
	}
	if err := o.part([]byte(key)); err != nil {
		return false, err
	}
	return true, o.sealed(e.Value)
}

func (o *writer) end(entries int) error {
	if err := o.sealed(head{tag: tagEnd, count: uint64(entries)}.append(o.head[:0])); err != nil {
		return err
	}
	return o.w.Flush()
}

func (o *writer) part(b []byte) error {
	o.sum = crc32.Update(o.sum, castagnoli, b)
	_, err := o.w.Write(b)
	return err
}

// sealed writes the last part before a sum, and the sum.
func (o *writer) sealed(b []byte) error {
	if err := o.part(b); err != nil {
		return err
	}
	_, err := o.w.Write(binary.LittleEndian.AppendUint32(nil, o.sum))
	return err
}

// attempts is how often an operation is made that says ErrBusy each time:
// that takes 250 ms each, and the master ends a process that holds a part of
// the store for more than a second.
const attempts = 20

// patiently makes an operation again while the store is busy.
func patiently(ctx context.Context, operation func() error) error {
	for n := 1; ; n++ {
		err := operation()
		if !errors.Is(err, store.ErrBusy) || n == attempts {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
