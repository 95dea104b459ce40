//go:build unix

package redis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"prefork/ipc/redis"
	"prefork/ipc/store"
)

// hold takes a lock, says so, and writes with its token for each line that it
// reads.
func hold(url string) error {
	s, err := redis.Open(ctx, url)
	if err != nil {
		return err
	}
	t, err := s.Lock(ctx, "k", 0)
	if err != nil {
		return err
	}
	fmt.Println("holds")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		_, err := s.Set(ctx, "k", []byte("holder"), store.Write{Token: t})
		switch {
		case errors.Is(err, store.ErrFenced):
			fmt.Println("fenced")
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println("wrote")
		}
	}
	return s.Close()
}

// holder is a process that holds the lock "k".
type holder struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

func startHolder(t *testing.T, url string) *holder {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	h := &holder{t: t, cmd: exec.Command(exe)}
	h.cmd.Env = append(os.Environ(), "PREFORK_TEST_HOLDER="+url)
	h.in, err = h.cmd.StdinPipe()
	must(t, err)
	out, err := h.cmd.StdoutPipe()
	must(t, err)
	h.out = bufio.NewReader(out)
	must(t, h.cmd.Start())
	t.Cleanup(func() {
		_ = h.cmd.Process.Kill() // it may have ended
		_ = h.cmd.Wait()
	})
	h.says("holds")
	return h
}

func (h *holder) says(want string) {
	h.t.Helper()
	if line, err := h.out.ReadString('\n'); err != nil || strings.TrimSpace(line) != want {
		h.t.Fatalf("the holder says %q (%v), want %q", line, err, want)
	}
}

func (h *holder) write(want string) {
	h.t.Helper()
	_, err := io.WriteString(h.in, "\n")
	must(h.t, err)
	h.says(want)
}

func TestLockOfAKilledProcessIsFreeALeaseLater(t *testing.T) {
	url := startServer(t).url() + "?timeout=300ms&lease=1s"
	s := open(t, url)
	h := startHolder(t, url)
	h.write("wrote")
	must(t, h.cmd.Process.Kill())
	start := time.Now()
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := s.Lock(within, "k", 0)
	must(t, err)
	if took := time.Since(start); took > time.Second+slack {
		t.Errorf("free after %v", took)
	}
}

func TestLateWriteOfAStoppedHolderIsRefused(t *testing.T) {
	url := startServer(t).url() + "?timeout=300ms&lease=1s"
	s := open(t, url)
	h := startHolder(t, url)
	must(t, h.cmd.Process.Signal(syscall.SIGSTOP))
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	next, err := s.Lock(within, "k", 0) // the lease is over
	must(t, err)
	_, err = s.Set(ctx, "k", []byte("next"), store.Write{Token: next})
	must(t, err)
	must(t, h.cmd.Process.Signal(syscall.SIGCONT))
	h.write("fenced")
	if e, _, err := s.Get(ctx, "k"); err != nil || string(e.Value) != "next" {
		t.Errorf("%q, %v", e.Value, err)
	}
	if _, ok, err := s.TryLock(ctx, "k", 0); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}
