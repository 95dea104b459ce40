package main

import (
	"fmt"
	"io"
	"os"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"prefork/master"
)

// newLog makes the master's log, written to out on its way to stderr.
func newLog(out io.Writer, stderr *os.File, c master.Config) hclog.Logger {
	terminal, journal := isTerminal(stderr), isJournal(stderr, os.Getenv("JOURNAL_STREAM"))
	json := c.LogFormat == "json" || c.LogFormat == "" && !terminal && !journal
	color := hclog.ColorOff
	if terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		color = hclog.ForceColor
	}
	return hclog.New(&hclog.LoggerOptions{
		Name:       c.Name,
		Level:      hclog.LevelFromString(c.LogLevel),
		Output:     out,
		JSONFormat: json,
		Color:      color,
		TimeFormat: "2006-01-02T15:04:05.000Z07:00",
		// The journal stamps each line itself.
		DisableTime: journal && !json,
	})
}

// isTerminal asks as isatty(3) does: only a terminal has terminal settings.
func isTerminal(f *os.File) bool {
	_, err := ioctl(f, unix.TCGETS)
	return err == nil
}

func ioctl(f *os.File, request uint) (*unix.Termios, error) {
	var settings *unix.Termios
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { settings, inner = unix.IoctlGetTermios(int(fd), request) }); err != nil {
		return nil, err
	}
	return settings, inner
}

// isJournal says that a file is the stream to the journal that systemd made:
// JOURNAL_STREAM holds its device and inode (systemd.exec(5)). The variable
// alone is no proof, since redirections inherit it.
func isJournal(f *os.File, stream string) bool {
	var st unix.Stat_t
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = unix.Fstat(int(fd), &st) }); err != nil || inner != nil {
		return false
	}
	return stream != "" && stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
