package demo

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// kill ends the worker that answers, the hard way: what it has not written to
// the store by now is lost. The answer names it, and leaves before.
func (s *Site) kill(w http.ResponseWriter, r *http.Request) {
	refuse := func(err error) {
		answer(func(http.ResponseWriter, *http.Request) (any, error) { return nil, err }).ServeHTTP(w, r)
	}
	// A form of another site cannot send this content type: see readJSON.
	var nothing struct{}
	if err := readJSON(w, r, &nothing); err != nil {
		refuse(err)
		return
	}
	text, err := json.Marshal(struct {
		Worker who `json:"worker"`
	}{s.who()})
	if err != nil {
		refuse(err)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text))) // the whole answer is in what is flushed
	_, _ = w.Write(text)
	// In the kernel's hands it reaches the browser after the death of its
	// sender, too: nothing that was received is unread, so close(2) sends FIN
	// and no RST (RFC 9293, section 3.6.1).
	_ = http.NewResponseController(w).Flush()
	s.o.Kill()
}
