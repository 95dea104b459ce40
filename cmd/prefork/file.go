package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxFile bounds the config file. A larger one is a mistaken path.
const maxFile = 1 << 20

// readTries is how often a file that changes while it is read is read again.
const readTries = 3

// readConfig reads a config file whole and once: what is parsed is one state
// of it. Whatever else stands at the path (a folder, a FIFO that nobody
// writes, a device, a file without end) is refused without waiting for it.
func readConfig(path string) ([]byte, error) {
	for range readTries {
		data, same, err := readOnce(path)
		if err != nil {
			return nil, err
		}
		if same {
			return data, checkText(data)
		}
	}
	return nil, errors.New("changes while it is read: write a new file and rename it to this name")
}

// readOnce also says whether the file stayed as it was meanwhile.
func readOnce(path string) (data []byte, same bool, err error) {
	// Without O_NONBLOCK the open of a FIFO waits for a writer: fifo(7).
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, false, cause(err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, false, cause(err)
	}
	switch {
	case before.IsDir():
		return nil, false, errors.New("is a folder: want a TOML file")
	case !before.Mode().IsRegular():
		return nil, false, fmt.Errorf("is no regular file (%s): want a TOML file", before.Mode().Type())
	case before.Size() > maxFile:
		return nil, false, tooLarge(before.Size())
	}
	release, err := keepWritersOut(f)
	if err != nil {
		return nil, false, err
	}
	defer release()
	data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, false, cause(err)
	}
	if len(data) > maxFile {
		return nil, false, tooLarge(int64(len(data)))
	}
	after, err := f.Stat()
	if err != nil {
		return nil, false, cause(err)
	}
	same = after.Size() == int64(len(data)) && after.ModTime().Equal(before.ModTime())
	return data, same, nil
}

// Who writes a file in place has it open for a moment. The pause between two
// looks is short against the patience, which a reload can bear.
const (
	writerPatience = 250 * time.Millisecond
	writerPause    = 2 * time.Millisecond
)

// keepWritersOut takes a read lease (fcntl(2), F_SETLEASE): there is one only
// while nobody has the file open for writing, and whoever opens it so then
// waits until release. Without it a file that is written in place can be read
// half, with nothing to see that by. Where there are no leases (another
// user's file, some network file systems) the file is read as it stands.
func keepWritersOut(f *os.File) (release func(), err error) {
	none := func() {}
	raw, err := f.SyscallConn()
	if err != nil {
		return none, cause(err)
	}
	lease := func(kind int) (errno error) {
		if err := raw.Control(func(fd uintptr) { _, errno = unix.FcntlInt(fd, unix.F_SETLEASE, kind) }); err != nil {
			return err
		}
		return errno
	}
	pause := time.NewTicker(writerPause)
	defer pause.Stop()
	patience := time.NewTimer(writerPatience)
	defer patience.Stop()
	for {
		err := lease(unix.F_RDLCK)
		switch {
		case err == nil:
			return func() { _ = lease(unix.F_UNLCK) }, nil // the close releases it too
		case !errors.Is(err, unix.EAGAIN):
			return none, nil
		}
		select {
		case <-pause.C:
		case <-patience.C:
			return none, errors.New("is being written by another process: write a new file and rename it to this name")
		}
	}
}

func tooLarge(size int64) error {
	return fmt.Errorf("is too large: %d bytes (max %d)", size, maxFile)
}

// checkText refuses what is no config text at all. An empty file counts as one
// that is being written: taken as "all defaults" it would undo every setting.
func checkText(data []byte) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return errors.New("is empty: want at least one key, for example command = [\"./app\"]")
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return &lineError{line: 1 + bytes.Count(data[:i], []byte("\n")), err: errors.New("holds a NUL byte: want a text file")}
	}
	return nil
}

// lineError is an error at a line of the file.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

// cause drops the path and the call from an error, which its message names
// otherwise: "permission denied".
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
