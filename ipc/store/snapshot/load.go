package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"prefork/ipc/store"
)

// Target is what a snapshot needs of a store to be loaded into it: a
// store.Store is one, and a client of a store can be.
type Target interface {
	Set(ctx context.Context, key string, value []byte, w store.Write) (version uint64, err error)
}

// Load sets every entry of a snapshot file that has not expired, and gives
// how many. Entries of the store that are not in the file stay.
//
// The file is verified as a whole first: with ErrDamaged and ErrVersion nothing
// was set. os.ErrNotExist: there is no file. Any other error, such as ErrFull of
// a store that is smaller than the one it was saved from, may come behind
// entries that were set.
func Load(ctx context.Context, path string, s Target) (entries int, err error) {
	entries, err = loadFile(ctx, path, s)
	if err != nil {
		return entries, fmt.Errorf("load snapshot %s: %w", path, err)
	}
	return entries, nil
}

func loadFile(ctx context.Context, path string, s Target) (entries int, err error) {
	f, err := openFile(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return apply(ctx, f, s, time.Now)
}

// openFile opens a regular file. To open a pipe would be to wait for somebody
// who writes into it.
func openFile(path string) (*os.File, error) {
	i, err := os.Stat(path)
	if err != nil {
		return nil, cause(err)
	}
	if !i.Mode().IsRegular() {
		return nil, fmt.Errorf("a regular file is wanted, and it is %s", i.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	return f, nil
}

// cause takes the path out of an error that will be wrapped with it.
func cause(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

// CheckFile is Check of a file.
func CheckFile(ctx context.Context, path string) (Info, error) {
	f, err := openFile(path)
	if err != nil {
		return Info{}, fmt.Errorf("check snapshot %s: %w", path, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	i, err := check(ctx, f, time.Now())
	if err != nil {
		return i, fmt.Errorf("check snapshot %s: %w", path, err)
	}
	return i, nil
}

// Read is Load from a reader. One that cannot seek, such as a pipe, is copied
// to a temporary file that only its owner can read and that has no name any
// more when the copying begins.
func Read(ctx context.Context, r io.Reader, s Target) (entries int, err error) {
	seeker, done, err := seekable(ctx, r)
	if err != nil {
		return 0, fmt.Errorf("read snapshot: %w", err)
	}
	defer done()
	entries, err = apply(ctx, seeker, s, time.Now)
	if err != nil {
		return entries, fmt.Errorf("read snapshot: %w", err)
	}
	return entries, nil
}

// apply reads twice: to verify, then to set.
func apply(ctx context.Context, r io.ReadSeeker, s Target, now func() time.Time) (entries int, err error) {
	begin, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	if _, err := check(ctx, r, now()); err != nil {
		return 0, err
	}
	if _, err := r.Seek(begin, io.SeekStart); err != nil {
		return 0, err
	}
	o, err := open(r)
	if err != nil {
		return 0, err
	}
	for {
		c, err := o.next()
		switch {
		case err == io.EOF:
			return entries, nil
		case err != nil:
			return entries, err // somebody changed it meanwhile
		}
		ttl, lives := c.left(o.age(now()))
		if !lives {
			continue
		}
		if err := ctx.Err(); err != nil {
			return entries, err
		}
		err = patiently(ctx, func() error {
			_, err := s.Set(ctx, c.key, c.value, store.Write{TTL: ttl})
			return err
		})
		if err != nil {
			return entries, fmt.Errorf("entry at byte %d: %w", c.offset, err)
		}
		entries++
	}
}

// seekable gives r itself where it can seek, else a copy of it. done gives the
// copy's space back.
func seekable(ctx context.Context, r io.Reader) (_ io.ReadSeeker, done func(), err error) {
	if s, ok := r.(io.ReadSeeker); ok {
		if _, err := s.Seek(0, io.SeekCurrent); err == nil {
			return s, func() {}, nil
		}
	}
	f, err := os.CreateTemp("", "prefork-snapshot-*")
	if err != nil {
		return nil, nil, err
	}
	// Where an open file cannot be removed it goes at the end.
	_ = os.Remove(f.Name())
	done = func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}
	if err := spool(ctx, f, r); err != nil {
		done()
		return nil, nil, err
	}
	return f, done, nil
}

// spool copies a snapshot, and stops at the first thing that is not one, so
// that an endless source does not fill the disk.
func spool(ctx context.Context, f *os.File, r io.Reader) error {
	if _, err := check(ctx, io.TeeReader(r, f), time.Now()); err != nil {
		return err
	}
	_, err := f.Seek(0, io.SeekStart)
	return err
}
