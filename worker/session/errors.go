package session

import (
	"context"
	"errors"
	"log"
	"net/http"

	"prefork/ipc/store"
)

// Errors that a handler's ErrorFunc may tell apart, besides those of the store.
var (
	// ErrGone says that the session ended while the request ran: another one
	// destroyed it or renewed its token, or its time was over. What this
	// request changed in it is not kept.
	ErrGone = errors.New("session: ended while the request ran")

	// ErrBegun says that a new token cannot be sent any more.
	ErrBegun = errors.New("session: the response has begun")

	errOutside = errors.New("session: the context is not from Load, LoadAndSave or Exclusive of this Manager")
	errInside  = errors.New("session: Exclusive inside LoadAndSave: the session is loaded already")
)

// answerError is the ErrorFunc of New. A request that lost against another one
// is the client's to repeat (409), a store that is not there will be (503).
func answerError(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, ErrGone), errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrFenced):
		http.Error(w, "The session has changed while this request ran. Please try again.", http.StatusConflict)
		return
	case errors.Is(err, store.ErrBusy), errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrFull),
		errors.Is(err, context.DeadlineExceeded):
		w.Header().Set("Retry-After", "1")
		status = http.StatusServiceUnavailable
	case errors.Is(err, context.Canceled):
		return // the client has gone
	}
	log.Printf("session: %s %s: %v", r.Method, r.URL.Path, err)
	http.Error(w, http.StatusText(status), status)
}
