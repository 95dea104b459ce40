package inject

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Done is one line of the log: a fault that was injected.
type Done struct {
	Event
	Began time.Duration `json:"began"` // when it really came, from the start on
	Took  time.Duration `json:"took"`
	PID   int           `json:"pid,omitempty"` // who was killed or signalled
	Error string        `json:"error,omitempty"`
}

// Marker is told of each fault at the moment that it comes.
type Marker interface {
	Mark(name string)
	MarkKill(name string, pid int)
}

// Run injects the events, one after the other, and writes a line of JSON for
// each to the log. It ends with the last event or with the context. Faults
// that could not be injected are in the log and in the error.
func Run(ctx context.Context, specs []Spec, events []Event, marker Marker, log io.Writer) ([]Done, error) {
	byName := make(map[string]Spec)
	for _, s := range specs {
		byName[s.Name] = s
	}
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var all []Done
	var problems []error
	for _, e := range events {
		s, ok := byName[e.Name]
		if !ok {
			return all, fmt.Errorf("fault %q is in the log, and no -fault has that name", e.Name)
		}
		timer.Reset(time.Until(start.Add(e.At)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return all, errors.Join(problems...)
		}
		d := Done{Event: e, Began: time.Since(start)}
		pid, err := s.inject(ctx, e, marker)
		d.Took, d.PID = time.Since(start)-d.Began, pid
		if err != nil {
			d.Error = err.Error()
			problems = append(problems, fmt.Errorf("fault %s at %v: %w", e.Name, e.At, err))
		}
		all = append(all, d)
		if err := json.NewEncoder(log).Encode(d); err != nil {
			return all, fmt.Errorf("write log of faults: %w", err)
		}
	}
	return all, errors.Join(problems...)
}

func (s Spec) inject(ctx context.Context, e Event, marker Marker) (pid int, err error) {
	switch {
	case s.Kill != nil:
		pid, err := s.Kill.Choose(ctx, e.Pick)
		if err != nil {
			return 0, err
		}
		marker.MarkKill(s.Name, pid)
		return pid, syscall.Kill(pid, syscall.SIGKILL)
	case len(s.Run) > 0:
		marker.Mark(s.Name)
		out, err := exec.CommandContext(ctx, s.Run[0], s.Run[1:]...).CombinedOutput()
		if err != nil && ctx.Err() == nil {
			return 0, fmt.Errorf("%s: %w: %s", strings.Join(s.Run, " "), err, bytes.TrimSpace(out))
		}
		return 0, nil
	}
	marker.Mark(s.Name)
	return s.PID, syscall.Kill(s.PID, s.Signal)
}

// ReadLog gives the events of a log, to be injected again.
func ReadLog(log io.Reader) ([]Event, error) {
	var events []Event
	in := json.NewDecoder(log)
	for {
		var d Done
		switch err := in.Decode(&d); {
		case errors.Is(err, io.EOF):
			return events, nil
		case err != nil:
			return nil, fmt.Errorf("read log of faults: entry %d: %w", len(events)+1, err)
		case d.Name == "" || d.At < 0:
			return nil, fmt.Errorf("read log of faults: entry %d has no name or time", len(events)+1)
		}
		// When it came, not when it was planned: that is what was found.
		d.At = d.Began
		events = append(events, d.Event)
	}
}

// source gives one spec's own numbers: another spec beside it changes none.
func source(seed, spec uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, spec)) }
