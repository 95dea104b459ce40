package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Save writes a snapshot to a file that only its owner can read, and replaces
// the one that is there in one step: whatever happens, a full disk or a loss of
// power too, the path has the old file or the new one, each whole. A path that
// is a symbolic link stays one.
//
// The new file is written beside it, as ".NAME.NUMBER.tmp". One that a dead
// process left there is removed.
func Save(ctx context.Context, path string, s Source) error {
	if err := save(ctx, path, s); err != nil {
		return fmt.Errorf("save snapshot %s: %w", path, err)
	}
	return nil
}

func save(ctx context.Context, path string, s Source) error {
	path, err := target(path)
	if err != nil {
		return err
	}
	folder, name := filepath.Split(path)
	folder = filepath.Clean(folder)
	sweep(folder, "."+name+".", ".tmp")
	f, err := create(folder, name)
	if err != nil {
		return err
	}
	if err := fill(ctx, f, s); err != nil {
		return errors.Join(err, os.Remove(f.Name()), f.Close())
	}
	if err := place(f, path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(folder)
}

// target gives the file that a path means: what a link points to.
func target(path string) (string, error) {
	i, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return path, nil
	case err != nil:
		return "", cause(err)
	}
	if i.Mode()&os.ModeSymlink != 0 {
		to, err := filepath.EvalSymlinks(path)
		if err != nil {
			return "", cause(err)
		}
		path = to
		if i, err = os.Lstat(path); err != nil {
			return "", cause(err)
		}
	}
	if !i.Mode().IsRegular() {
		return "", fmt.Errorf("a regular file is wanted, and it is %s", i.Mode().Type())
	}
	return path, nil
}

// create makes the new file. Between its making and the lock on it another
// process that saves to the same path may take it for one that was left, and
// remove it: then it is made again.
func create(folder, name string) (*os.File, error) {
	for {
		f, err := os.CreateTemp(folder, "."+name+".*.tmp") // O_EXCL, 0600
		if err != nil {
			return nil, err
		}
		held, err := hold(f)
		switch {
		case err != nil:
			return nil, errors.Join(err, os.Remove(f.Name()), f.Close())
		case held:
			return f, nil
		}
		_ = f.Close() // nothing was written
	}
}

// fill writes the snapshot down to the disk.
func fill(ctx context.Context, f *os.File, s Source) error {
	if _, err := write(ctx, f, s, time.Now); err != nil {
		return err
	}
	return f.Sync()
}
