package master

import (
	"bufio"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOutputThatNobodyReadsIsDroppedAndCountedAndNeverBlocks(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	o := newOutput(w)
	line := []byte(strings.Repeat("x", 1023) + "\n")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 4 * outputBound / len(line) {
			o.lines(0, nil, line)
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the writer waits for a reader that does not come")
	}
	if o.dropped.Load() < 2*outputBound {
		t.Errorf("dropped %d bytes, want at least %d", o.dropped.Load(), 2*outputBound)
	}
	began := time.Now()
	o.close() // its goroutine is stuck in write(2)
	if took := time.Since(began); took > 5*outputPatience {
		t.Errorf("close took %s", took)
	}
	r.Close() // EPIPE ends the goroutine: SIGPIPE is for descriptors 1 and 2 alone
	<-o.ended
	w.Close()
}

func TestManySmallLinesTakeNoMoreMemoryThanFewLargeOnes(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	o := newOutput(w)
	const lines = outputBound / 4
	for range lines {
		o.lines(0, nil, []byte("\n"))
	}
	o.mu.Lock()
	waiting := len(o.queue)
	o.mu.Unlock()
	if waiting > lines/8 {
		t.Errorf("%d of %d lines wait, each with its own overhead", waiting, lines)
	}
	r.Close() // the goroutine is stuck in write(2)
	o.close()
}

func TestLinesOfTwoWorkersDoNotMix(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	o := newOutput(w)
	a := &stderrSource{slot: 0, out: o}
	b := &stderrSource{slot: 1, out: o}
	a.pass([]byte("one, from"))
	b.pass([]byte("two, whole\nthree, "))
	a.pass([]byte(" a\n"))
	b.pass([]byte("no newline"))
	b.flush()
	a.flush()
	o.close()
	w.Close()
	var got []string
	for in := bufio.NewScanner(r); in.Scan(); {
		got = append(got, in.Text())
	}
	want := "two, whole|one, from a|three, no newline"
	if strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTheTailOfStderrIsTheLast8KiB(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	o := newOutput(null)
	defer o.close()
	s := &stderrSource{fd: p[0], out: o}
	buf := make([]byte, readSize)
	text := strings.Repeat("0123456789abcde\n", 40<<10/16)
	for part := range strings.SplitSeq(text, "9") {
		if _, err := unix.Write(p[1], []byte(part)); err != nil {
			t.Fatal(err)
		}
		if !s.readable(buf) {
			t.Fatal("the pipe has ended")
		}
	}
	flat := strings.ReplaceAll(text, "9", "")
	if want := flat[len(flat)-tailSize:]; string(s.tail) != want {
		t.Errorf("the tail has %d bytes and ends %q, want %d", len(s.tail), s.tail[max(0, len(s.tail)-20):], len(want))
	}
	if err := unix.Close(p[1]); err != nil {
		t.Fatal(err)
	}
	if s.readable(buf) {
		t.Error("goes on after the end of the pipe")
	}
	if err := unix.Close(p[0]); err != nil {
		t.Error(err)
	}
}

func TestPriorityPrefixesAreTakenOff(t *testing.T) {
	for _, c := range []struct {
		in, want string
		priority int
	}{
		{"<3>disk full", "disk full", 3},
		{"plain", "plain", 6},
		{"<9>no level", "<9>no level", 6},
		{"<3", "<3", 6},
		{"", "", 6},
	} {
		p, text := linePriority([]byte(c.in))
		if p != c.priority || string(text) != c.want {
			t.Errorf("linePriority(%q) = %d, %q", c.in, p, text)
		}
	}
}
