package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
)

const maxBody = 1 << 10 // bytes

// badRequest is an error of the visitor's making; its text is for him.
type badRequest string

func (b badRequest) Error() string { return string(b) }

// answer makes a handler of a function that returns what is to be sent as JSON.
func answer(f func(http.ResponseWriter, *http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		status := http.StatusOK
		body, err := f(w, r)
		if err != nil {
			w.Header().Del("Set-Cookie") // half a login is none
			status = statusOf(err)
			body = map[string]string{"error": err.Error()}
		}
		// Marshal escapes <, > and &, so that the text is harmless even where
		// something takes it for HTML.
		text, err := json.Marshal(body)
		if err != nil {
			status, text = http.StatusInternalServerError, []byte(`{"error":"encode answer"}`)
		}
		w.WriteHeader(status)
		_, _ = w.Write(append(text, '\n')) // who hung up does not want it
	})
}

func statusOf(err error) int {
	if _, ok := errors.AsType[badRequest](err); ok {
		return http.StatusBadRequest
	}
	return http.StatusServiceUnavailable // what remains is a table that is full or gone
}

// readJSON reads one JSON value. It insists on the content type: a form of
// another site cannot send it.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return badRequest("content type is not application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return badRequest(fmt.Sprintf("decode request: %v", err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("decode request: more than one value")
	}
	return nil
}
