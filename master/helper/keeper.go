package helper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/store"
	"prefork/ipc/store/snapshot"
)

// saveEvery is the time between two snapshots; a store that nobody has used
// since the last one is not written again.
const saveEvery = time.Minute

// quiet is how much of the time may be spent on writing, at most: one part in
// so many.
const quiet = 20

// keeper keeps the store in a file. With the path "" it does nothing. It
// belongs to one goroutine at a time.
type keeper struct {
	path  string
	store store.Store
	say   func(priority, format string, args ...any)

	seen      store.Stats // of the last snapshot
	next      time.Time   // not before
	complaint string      // what was last said of a failure
	final     bool        // the master is gone: another one may have the file
}

// begin reads the file into a store that is empty, or sees that it can be
// written. A damaged file is set aside: it must not keep a pool from starting.
func (k *keeper) begin(load bool) error {
	ctx := context.Background()
	st, err := k.store.Stats(ctx)
	if err != nil {
		return err
	}
	if load && st.Entries == 0 {
		n, err := snapshot.Load(ctx, k.path, k.store)
		switch {
		case err == nil:
			k.say(info, "%d entries loaded from %s", n, k.path)
		case errors.Is(err, os.ErrNotExist):
			if err := snapshot.Save(ctx, k.path, k.store); err != nil {
				return err // better now than after an hour
			}
		case errors.Is(err, snapshot.ErrDamaged), errors.Is(err, snapshot.ErrVersion):
			aside, moveErr := setAside(k.path)
			if moveErr != nil {
				return errors.Join(err, moveErr)
			}
			k.say(warning, "the store begins empty: %v; the file is now %s", err, aside)
		default:
			return err
		}
	}
	k.seen, err = k.store.Stats(ctx)
	k.next = time.Now().Add(saveEvery)
	return err
}

// setAside renames a file to the first free PATH.damaged-N.
func setAside(path string) (aside string, err error) {
	for n := 1; ; n++ {
		aside = path + ".damaged-" + strconv.Itoa(n)
		err := unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, aside, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EINVAL) && !exists(aside) { // this file system cannot: renameat2(2)
			err = os.Rename(path, aside)
		}
		if err == nil {
			return aside, nil
		}
		if !errors.Is(err, unix.EEXIST) && !exists(aside) || n == maxAside {
			return "", fmt.Errorf("set %s aside: %w", path, err)
		}
	}
}

// maxAside bounds the files set aside: more than that are no accident.
const maxAside = 1000

// periodic writes a snapshot when the store was used since the last one.
func (k *keeper) periodic() {
	if k.path == "" || time.Now().Before(k.next) {
		return
	}
	st, err := k.store.Stats(context.Background())
	if err == nil && used(st) == used(k.seen) {
		return
	}
	k.save()
}

// used grows with everything that a snapshot could show. An expiry that is
// moved is not counted by the store; it comes with a read.
func used(s store.Stats) int64 {
	return s.Sets + s.Deletes + s.Expired + s.Evicted + s.Quarantined + s.Hits
}

// save writes a snapshot; a failure is said once, until it is another one.
func (k *keeper) save() {
	begun := time.Now()
	st, err := k.store.Stats(context.Background()) // before: what is written meanwhile counts for the next
	if err == nil {
		err = snapshot.Save(context.Background(), k.path, k.store)
	}
	now := time.Now()
	k.next = now.Add(max(saveEvery, quiet*now.Sub(begun)))
	switch {
	case err == nil:
		k.seen = st
		if k.complaint != "" {
			k.complaint = ""
			k.say(info, "the store's file is written again")
		}
	case cause(err) != k.complaint:
		k.complaint = cause(err)
		k.say(warning, "the store's file is not up to date: %v", err)
	}
}

// cause is what two failures have in common: their texts have the names of new
// files.
func cause(err error) string {
	if no, ok := errors.AsType[unix.Errno](err); ok {
		return no.Error()
	}
	return err.Error()
}

// orphaned writes the last snapshot at the end of the master: the next one may
// read the file at any moment, and owns it from then on.
func (k *keeper) orphaned() {
	if k.path != "" {
		k.save()
		k.final = true
	}
}

// end writes the last snapshot of a stop. The workers have left.
func (k *keeper) end() {
	if k.path != "" && !k.final {
		k.save()
	}
}
