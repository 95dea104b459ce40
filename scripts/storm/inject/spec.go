package inject

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Spec is one kind of fault, and how often it comes.
type Spec struct {
	Name   string
	Signal syscall.Signal // with PID: send it
	PID    int
	Run    []string // run this command and wait for its end
	Kill   *Victims // SIGKILL a random worker of these

	Count  int           // how often; 1 or more
	After  time.Duration // before the first one
	Every  time.Duration // from one to the next
	Jitter time.Duration // each comes up to so much later
}

// Parse reads a fault as the flag has it:
//
//	NAME=ACTION[,count=N][,after=DUR][,every=DUR][,jitter=DUR]
//
// The actions are HUP@1234 (a signal to a process), run:COMMAND ARGS...,
// kill:SOURCE (a random ready worker), where SOURCE is unix:/path of a control
// socket, children@1234, or a command that prints `prefork status --json`.
// Commands are split at blanks, nothing else.
func Parse(text string) (Spec, error) {
	s, err := parse(text)
	if err != nil {
		return Spec{}, fmt.Errorf("fault %q: %w", text, err)
	}
	return s, nil
}

func parse(text string) (Spec, error) {
	s := Spec{Count: 1, Every: time.Second}
	name, rest, ok := strings.Cut(text, "=")
	if !ok || name == "" || strings.ContainsAny(name, " ,:@") {
		return s, errors.New("want NAME=ACTION, as in reload=HUP@1234,count=20,every=1s")
	}
	s.Name = name
	// Options stand at the end; a comma inside of a command stays its own.
	parts := strings.Split(rest, ",")
	for len(parts) > 1 {
		took, err := s.option(parts[len(parts)-1])
		if err != nil {
			return s, err
		}
		if !took {
			break
		}
		parts = parts[:len(parts)-1]
	}
	return s, s.action(strings.Join(parts, ","))
}

// option takes one option, and says whether it is one.
func (s *Spec) option(text string) (bool, error) {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return false, nil
	}
	var into *time.Duration
	switch key {
	case "count":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > 1e6 {
			return true, fmt.Errorf("count %q: want 1 to 1000000", value)
		}
		s.Count = n
		return true, nil
	case "after":
		into = &s.After
	case "every":
		into = &s.Every
	case "jitter":
		into = &s.Jitter
	default:
		return false, nil
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > 24*time.Hour {
		return true, fmt.Errorf("%s %q: want a duration like 250ms", key, value)
	}
	*into = d
	return true, nil
}

func (s *Spec) action(text string) error {
	if command, ok := strings.CutPrefix(text, "run:"); ok {
		if s.Run = strings.Fields(command); len(s.Run) == 0 {
			return errors.New("run: needs a command")
		}
		return nil
	}
	if source, ok := strings.CutPrefix(text, "kill:"); ok {
		v, err := parseVictims(source)
		s.Kill = v
		return err
	}
	name, pid, ok := strings.Cut(text, "@")
	if !ok {
		return fmt.Errorf("action %q: want SIGNAL@PID, run:COMMAND or kill:SOURCE", text)
	}
	s.Signal = unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG"))
	if s.Signal == 0 {
		return fmt.Errorf("no signal is named %q", name)
	}
	var err error
	s.PID, err = parsePID(pid)
	return err
}

func parsePID(text string) (int, error) {
	pid, err := strconv.Atoi(text)
	if err != nil || pid < 2 || pid > 1<<22 {
		return 0, fmt.Errorf("process %q: want a process id of 2 or more", text)
	}
	return pid, nil
}

// Event is one fault that is to come.
type Event struct {
	At   time.Duration `json:"at"` // from the start on
	Name string        `json:"name"`
	Pick uint64        `json:"pick"` // chooses the victim
}

// Schedule lays out all faults of a run. The same specs and seed give the
// same events.
func Schedule(specs []Spec, seed uint64) []Event {
	var events []Event
	for i, s := range specs {
		r := source(seed, uint64(i))
		for n := range s.Count {
			at := s.After + time.Duration(n)*s.Every
			if s.Jitter > 0 {
				at += time.Duration(r.Int64N(int64(s.Jitter)))
			}
			events = append(events, Event{At: at, Name: s.Name, Pick: r.Uint64()})
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return int(max(-1, min(1, a.At-b.At))) })
	return events
}
