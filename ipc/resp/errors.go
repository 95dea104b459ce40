package resp

import (
	"errors"
	"fmt"

	"prefork/ipc/store"
)

// Redis's own texts.
const (
	errSyntax     = "ERR syntax error"
	errNotInteger = "ERR value is not an integer or out of range"
	errOverflow   = "ERR increment or decrement would overflow"
	errTooLong    = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	errFull       = "OOM command not allowed when used memory > 'maxmemory'."
	errBusy       = "BUSY a process kept a part of the store for 250 ms; try again" // Redis has only the code
	errNoAuth     = "NOAUTH Authentication required."
)

var errKeyTooLong = fmt.Sprintf("ERR key exceeds maximum allowed size (%d bytes)", store.MaxKey)

// errorText says an error of the store the way Redis would, where Redis has
// words for it.
func errorText(err error) string {
	switch {
	case errors.Is(err, store.ErrFull):
		return errFull
	case errors.Is(err, store.ErrNoMemory):
		return "OOM " + err.Error()
	case errors.Is(err, store.ErrBusy):
		return errBusy
	case errors.Is(err, store.ErrNotNumber):
		return errNotInteger
	case errors.Is(err, store.ErrRange):
		return errOverflow
	case errors.Is(err, store.ErrTooLarge):
		return errTooLong
	}
	return "ERR " + err.Error()
}

// failed answers with an error of the store. One that took 250 ms to come ends
// the turn: the next command may meet the same, and others wait.
func (s *server) failed(err error) {
	s.r.error(errorText(err))
	s.waited = s.waited || errors.Is(err, store.ErrBusy)
}

// keyFits says whether a key may be one, and answers when it may not.
func (s *server) keyFits(key []byte) bool {
	if len(key) > store.MaxKey {
		s.r.error(errKeyTooLong)
		return false
	}
	return true
}
