package session

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// response is a visit as the handler's ResponseWriter: whatever sends the
// header saves the session first.
type response visit

func (w *response) begin() error {
	if v := (*visit)(w); !v.begun.Load() {
		v.begin()
	}
	return w.failed
}

// Write is of http.ResponseWriter. It fails with the error of a session that
// could not be saved.
func (w *response) Write(b []byte) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return w.writer.Write(b)
}

// WriteString is of io.StringWriter.
func (w *response) WriteString(s string) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return io.WriteString(w.writer, s)
}

// WriteHeader is of http.ResponseWriter. Informational responses, but for 101,
// come before the header that carries the cookie.
func (w *response) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.writer.WriteHeader(status)
		return
	}
	if w.begin() == nil {
		w.writer.WriteHeader(status)
	}
}

// ReadFrom is of io.ReaderFrom: files go out without a copy.
func (w *response) ReadFrom(r io.Reader) (int64, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return io.Copy(w.writer, r)
}

// Flush is of http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls.
func (w *response) FlushError() error {
	if err := w.begin(); err != nil {
		return err
	}
	return http.NewResponseController(w.writer).Flush()
}

// Hijack is of http.Hijacker. The session is saved first; its cookie, where
// one is needed, is in Header for those who write their own.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.begin(); err != nil {
		return nil, nil, err
	}
	return http.NewResponseController(w.writer).Hijack()
}

// Header is of http.ResponseWriter.
func (w *response) Header() http.Header { return w.writer.Header() }

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.writer }
