package notify

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxMessage is the longest datagram that Parse takes, in bytes. systemd's
// own bound is NOTIFY_BUFFER_MAX, PIPE_BUF: the same number.
const MaxMessage = 4096

// MaxStatus is the longest status that Parse keeps, in bytes; the rest is cut.
const MaxStatus = 512

// Message is one datagram of a worker, as far as a pool knows it.
type Message struct {
	Ready     bool   // READY=1
	Stopping  bool   // STOPPING=1
	Reloading bool   // RELOADING=1
	Watchdog  bool   // WATCHDOG=1
	HasStatus bool   // STATUS= was there, maybe empty: that clears it
	Status    string // one line of valid UTF-8 without control characters
	GoWorker  bool   // X_PREFORK_WORKER=1: the worker runs the Go library

	// ExtendTimeout is what EXTEND_TIMEOUT_USEC= asks for, 0 for nothing. It
	// may be as much as a time.Duration holds: the caller has the bound.
	ExtendTimeout time.Duration

	// Refused names what a worker may not ask of its pool, and values that
	// cannot be read, each once. The names are this package's own.
	Refused []string
}

// refused are the assignments of sd_notify(3) and sd_pid_notify_with_fds(3)
// that would change what the supervisor itself does or keeps. Every other
// unknown one is ignored, as sd_notify(3) says.
//
// BARRIER is not among them: its sender waits until the descriptor that came
// with it is closed, which Receive does at once. That is the truth that it
// asks for, since messages are read in order.
var refused = map[string]bool{
	"MAINPID": true, "MAINPIDFDID": true, "MAINPIDFD": true,
	"FDSTORE": true, "FDSTOREREMOVE": true, "FDNAME": true, "FDPOLL": true,
	"NOTIFYACCESS": true, "WATCHDOG_USEC": true, "RESTART_RESET": true,
}

// Parse reads one datagram: lines of NAME=value. Whatever stands in it, the
// result is bounded; an error says that the whole datagram counts for nothing.
func Parse(datagram []byte) (Message, error) {
	var m Message
	switch {
	case len(datagram) == 0:
		return m, errors.New("parse notify message: empty")
	case len(datagram) > MaxMessage:
		return m, fmt.Errorf("parse notify message: %d bytes (max %d)", len(datagram), MaxMessage)
	case bytes.IndexByte(datagram, 0) >= 0:
		return m, errors.New("parse notify message: a NUL byte stands in it")
	}
	for line := range strings.SplitSeq(string(datagram), "\n") {
		name, value, ok := strings.Cut(line, "=")
		if ok {
			m.assign(name, value)
		}
	}
	return m, nil
}

func (m *Message) assign(name, value string) {
	switch name {
	case "READY":
		m.Ready = m.Ready || value == "1"
	case "STOPPING":
		m.Stopping = m.Stopping || value == "1"
	case "RELOADING":
		m.Reloading = m.Reloading || value == "1"
	case "X_PREFORK_WORKER":
		m.GoWorker = m.GoWorker || value == "1"
	case "WATCHDOG":
		// WATCHDOG=trigger asks to be treated as hung: a worker that wants to
		// end can do so itself.
		if value == "1" {
			m.Watchdog = true
		} else {
			m.refuse("WATCHDOG")
		}
	case "STATUS":
		if !utf8.ValidString(value) {
			m.refuse("STATUS")
			return
		}
		m.Status, m.HasStatus = oneLine(value), true
	case "EXTEND_TIMEOUT_USEC":
		usec, err := strconv.ParseUint(value, 10, 64)
		if err != nil || usec > uint64(1<<63-1)/1000 {
			m.refuse("EXTEND_TIMEOUT_USEC")
			return
		}
		m.ExtendTimeout = time.Duration(usec) * time.Microsecond
	default:
		if refused[name] {
			m.refuse(name)
		}
	}
}

func (m *Message) refuse(name string) {
	for _, have := range m.Refused {
		if have == name {
			return
		}
	}
	m.Refused = append(m.Refused, name)
}

// Status gives the assignment that sets the status line to text. What is not
// UTF-8 and control characters, newlines among them, become blanks: a cause
// that somebody else worded cannot add an assignment of its own.
func Status(text string) string {
	return "STATUS=" + oneLine(strings.ToValidUTF8(text, " "))
}

// oneLine gives text without control characters, at most MaxStatus bytes.
// Preconditions: valid UTF-8.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		// C0, DEL, C1 and the two Unicode line ends: what a terminal or a log
		// would act upon.
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
	if len(text) > MaxStatus {
		end := MaxStatus
		for !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	return strings.TrimRight(text, " ")
}
