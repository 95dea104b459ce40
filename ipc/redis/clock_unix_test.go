//go:build unix

package redis_test

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"prefork/ipc/store"
)

// No time of this machine's clock goes over the wire, in whatever unit: clocks
// of machines differ, so that all ends are told as distances from now, and the
// server's clock alone says when they are. What looks like a time is the token
// of a lock, which the server made.
func TestNoTimeOfTheClientIsSent(t *testing.T) {
	server := startServer(t)
	sent := monitor(t, server)
	s := open(t, server.url()+"?timeout=300ms&lease=900ms&poll=10ms")
	e, err := s.Epoch(ctx, "e")
	must(t, err)
	tokens := make(map[string]bool)
	takes := func(take func() (store.Token, bool, error)) store.Token {
		t.Helper()
		token, ok, err := take()
		must(t, err)
		if !ok {
			t.Fatal("it is held")
		}
		tokens[fmt.Sprint(token.Number)] = true
		return token
	}
	for _, ttl := range []time.Duration{0, time.Millisecond, time.Hour, 3650 * 24 * time.Hour, -1} {
		for _, w := range []store.Write{{TTL: ttl}, {TTL: ttl, If: store.IfAbsent}, {TTL: ttl, If: store.IfPresent}, {TTL: ttl, KeepTTL: true}} {
			_, _ = s.Set(ctx, "k", []byte("v"), w) // a conflict has been sent, too
		}
		_, err := s.Set(ctx, "k", []byte("v"), store.Write{TTL: time.Hour})
		must(t, err)
		got, _, err := s.Get(ctx, "k")
		must(t, err)
		_, err = s.Set(ctx, "k", []byte("w"), store.Write{TTL: ttl, If: store.IfVersion, Version: got.Version})
		must(t, err)
		_, err = s.Touch(ctx, "k", ttl)
		must(t, err)
		_, _ = s.Delete(ctx, "k", got.Version) // a conflict, once more
		_, err = s.Delete(ctx, "k", 0)
		must(t, err)
		_, err = s.Add(ctx, "n", 1)
		must(t, err)
		if ttl < 0 {
			continue // of locks it is refused
		}
		lock := takes(func() (store.Token, bool, error) { return s.TryLock(ctx, "l", max(ttl, 0)) })
		place := takes(func() (store.Token, bool, error) { return s.TryAcquire(ctx, "p", 2, max(ttl, 0)) })
		if ttl != time.Millisecond { // it may be over
			_, err = s.Set(ctx, "l", nil, store.Write{Token: lock, TTL: ttl})
			must(t, err)
			must(t, s.Renew(ctx, lock, ttl))
			must(t, s.Unlock(ctx, lock))
			must(t, s.Unlock(ctx, place))
		}
	}
	// The lease of a lock that is kept is renewed behind it.
	kept := takes(func() (store.Token, bool, error) { return s.TryLock(ctx, "kept", 0) })
	must(t, e.Bump(ctx))
	_, _, err = s.Scan(ctx, 0, 10)
	must(t, err)
	_, err = s.Stats(ctx)
	must(t, err)

	seen, renewals := map[string]int{}, 0
	for line := range sent {
		words := quoted.FindAllStringSubmatch(line, -1)
		if strings.Contains(line, " lua]") || len(words) == 0 {
			continue // what a script did on the server
		}
		verb := strings.ToLower(words[0][1])
		seen[verb]++
		if verb == "eval" {
			words = append(words[:1], words[2:]...) // without the script's text
		}
		for _, w := range words[1:] {
			if n, err := strconv.ParseFloat(w[1], 64); err == nil && isTime(n) && !tokens[w[1]] {
				t.Errorf("%q looks like a time: %s", w[1], line)
			}
		}
		for _, absolute := range []string{"expireat", "pexpireat", "exat", "pxat"} {
			if strings.Contains(strings.ToLower(line), `"`+absolute+`"`) {
				t.Errorf("an absolute time: %s", line)
			}
		}
		if strings.Contains(line, `"`+fmt.Sprint(kept.Number)+`"`) {
			if renewals++; renewals == 3 {
				break
			}
		}
	}
	for _, verb := range []string{"set", "del", "eval", "evalsha", "pexpire", "incrby", "hincrby", "hmget", "scan", "info"} {
		if seen[verb] == 0 {
			t.Errorf("%s was not seen: %v", verb, seen)
		}
	}
	if renewals != 3 {
		t.Errorf("%d renewals of the lease were seen", renewals)
	}
}

// isTime says whether a number may be the time of day: in seconds, ms, µs or
// ns, within two years.
func isTime(n float64) bool {
	now, margin := float64(time.Now().Unix()), 2*365*24*3600.0
	for _, unit := range []float64{1, 1e3, 1e6, 1e9} {
		if n > (now-margin)*unit && n < (now+margin)*unit {
			return true
		}
	}
	return false
}

var quoted = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

// monitor gives every command that the server gets, until the test ends.
func monitor(t *testing.T, s *server) <-chan string {
	t.Helper()
	c, err := net.Dial("unix", s.socket)
	must(t, err)
	_, err = c.Write([]byte("MONITOR\r\n"))
	must(t, err)
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); line != "+OK\r\n" {
		t.Fatalf("monitor: %q, %v", line, err)
	}
	lines, ended := make(chan string, 1024), make(chan struct{})
	go func() {
		defer close(lines)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			select {
			case lines <- line:
			case <-ended:
				return
			}
		}
	}()
	t.Cleanup(func() { close(ended); _ = c.Close() })
	must(t, c.SetReadDeadline(time.Now().Add(patience)))
	return lines
}
