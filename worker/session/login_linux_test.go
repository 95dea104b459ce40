package session_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
)

func init() {
	roles["login"] = loginRole
	roles["half login"] = halfLoginRole
}

// loginRole logs in and prints the new token.
func loginRole() error {
	m, err := inSegment()
	if err != nil {
		return err
	}
	answer := do(m, os.Getenv(tokenEnv), func(_ http.ResponseWriter, r *http.Request) {
		if err = m.RenewToken(r.Context()); err == nil {
			m.Put(r.Context(), "user", "ada")
		}
	})
	if err != nil || len(answer.Cookies()) != 1 {
		return fmt.Errorf("login: %s, %v, %w", answer.Status, answer.Cookies(), err)
	}
	fmt.Println(answer.Cookies()[0].Value)
	return nil
}

// halfLoginRole renews the token and is killed before it answers.
func halfLoginRole() error {
	m, err := inSegment()
	if err != nil {
		return err
	}
	do(m, os.Getenv(tokenEnv), func(_ http.ResponseWriter, r *http.Request) {
		if err = m.RenewToken(r.Context()); err != nil {
			return
		}
		m.Put(r.Context(), "user", "ada")
		fmt.Println("renewed")
		_, _ = io.Copy(io.Discard, os.Stdin) // for as long as the test lives
	})
	return err
}

func TestLoginInOneWorkerIsSeenByAll(t *testing.T) {
	p := newPool(t)
	out, err := p.command("login").Output()
	if err != nil || len(out) < 2 {
		t.Fatalf("%q, %v", out, err)
	}
	if got := values(t, p.m, string(out[:len(out)-1])); got != "map[n:0 user:ada]" {
		t.Errorf("another worker sees %s", got)
	}
	if got := values(t, p.m, p.token); got != "map[]" {
		t.Errorf("the old token has %s", got)
	}
}

// What was saved before survives a worker that is killed in the middle of a
// login.
func TestDeathOfAWorkerInALoginLeavesTheSession(t *testing.T) {
	p := newPool(t)
	cmd, stdin := p.start(t, "half login", "renewed\n")
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // killed
	_ = stdin.Close()
	if got := values(t, p.m, p.token); got != "map[n:0]" {
		t.Errorf("the session has %s", got)
	}
}
