//go:build faults

package faults

import (
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Text is what a process has written so far; any goroutine may read it.
type Text struct {
	mu      sync.Mutex
	buf     strings.Builder
	changed chan struct{} // closed and renewed at each write
	ended   bool
}

func newText() *Text { return &Text{changed: make(chan struct{})} }

// collect reads r into a new Text until r ends.
func collect(r io.ReadCloser) *Text {
	x := newText()
	go func() {
		_, _ = io.Copy(x, r)
		_ = r.Close()
		x.mu.Lock()
		x.ended = true
		close(x.changed)
		x.mu.Unlock()
	}()
	return x
}

// Write appends p.
func (x *Text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.buf.Write(p)
	close(x.changed)
	x.changed = make(chan struct{})
	return len(p), nil
}

// String gives all that was written.
func (x *Text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.buf.String()
}

// Len is a mark for WaitAfter.
func (x *Text) Len() int { return len(x.String()) }

// Wait waits for a match of the pattern and gives it with its groups.
func (x *Text) Wait(t testing.TB, pattern string) []string {
	t.Helper()
	return x.WaitAfter(t, 0, pattern)
}

// WaitAfter is Wait for what was written after a mark.
func (x *Text) WaitAfter(t testing.TB, mark int, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.NewTimer(Patience)
	defer late.Stop()
	for {
		x.mu.Lock()
		text, changed, ended := x.buf.String(), x.changed, x.ended
		x.mu.Unlock()
		if m := re.FindStringSubmatch(text[mark:]); m != nil {
			return m
		}
		if ended {
			t.Fatalf("output ended without %q:\n%s", pattern, text)
		}
		select {
		case <-changed:
		case <-late.C:
			t.Fatalf("no %q within %v:\n%s", pattern, Patience, text)
		}
	}
}

// waitEnd waits until every writer has closed, and reports whether they did.
func (x *Text) waitEnd(patience time.Duration) bool {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		x.mu.Lock()
		changed, ended := x.changed, x.ended
		x.mu.Unlock()
		if ended {
			return true
		}
		select {
		case <-changed:
		case <-late.C:
			return false
		}
	}
}
