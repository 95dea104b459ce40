package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

const (
	beat     = time.Second     // how often a worker renews its entry
	entryTTL = 3*beat + beat/2 // three beats missed: the worker is gone
	maxGap   = 16              // so many empty slots in a row end the list
)

// Worker says who a process is.
type Worker struct {
	Slot       int
	PID        int
	Generation int
	Started    time.Time
}

// entry is a worker's line in the roster: it is kept in the shared store, so
// that whichever worker is asked can name them all.
type entry struct {
	Slot       int   `json:"slot"`
	PID        int   `json:"pid"`
	Generation int   `json:"generation"`
	Started    int64 `json:"started_ms"` // wall clock, Unix
	Requests   int64 `json:"requests"`   // the counter in that worker's global
}

// me is this worker's own entry as of now.
func (s *Site) me() entry {
	return entry{
		Slot: s.o.Worker.Slot, PID: s.o.Worker.PID, Generation: s.o.Worker.Generation,
		Started:  s.o.Worker.Started.UnixMilli(),
		Requests: s.o.Globals.requests.Load(),
	}
}

// Announce keeps this worker in the roster until ctx is done, then takes it
// out. What the store refuses is tried again at the next beat: a roster that is
// late must not stop a worker that serves.
func (s *Site) Announce(ctx context.Context) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		_ = s.announce()
		select {
		case <-ctx.Done():
			_ = s.withdraw()
			return
		case <-tick.C:
		}
	}
}

// announce writes the entry, unless a newer process has the slot: while a
// reload drains the old worker of a slot, the new one is the one to show.
func (s *Site) announce() error {
	mine := s.me()
	there, err := s.readEntry(mine.Slot)
	if err != nil {
		return err
	}
	if there != nil && there.newerThan(mine) {
		return nil
	}
	value, err := json.Marshal(mine)
	if err != nil {
		return fmt.Errorf("encode roster entry: %w", err)
	}
	return s.o.Store.Set(workerKey(mine.Slot), value, entryTTL)
}

// withdraw deletes the entry if it is still this worker's.
func (s *Site) withdraw() error {
	there, err := s.readEntry(s.o.Worker.Slot)
	if err != nil || there == nil || there.PID != s.o.Worker.PID {
		return err
	}
	return s.o.Store.Delete(workerKey(s.o.Worker.Slot))
}

func (e entry) newerThan(o entry) bool {
	if e.Generation != o.Generation {
		return e.Generation > o.Generation
	}
	return e.PID != o.PID && e.Started > o.Started
}

// roster lists the workers by slot.
func (s *Site) roster() ([]entry, error) {
	list := []entry{}
	for slot, gap := 0, 0; gap < maxGap; slot++ {
		e, err := s.readEntry(slot)
		if err != nil {
			return nil, err
		}
		if e == nil {
			gap++
			continue
		}
		gap = 0
		list = append(list, *e)
	}
	return list, nil
}

// readEntry gives nil when the slot has nobody.
func (s *Site) readEntry(slot int) (*entry, error) {
	value, found, err := s.o.Store.Get(workerKey(slot))
	if err != nil {
		return nil, fmt.Errorf("read roster entry of slot %d: %w", slot, err)
	}
	if !found {
		return nil, nil
	}
	var e entry
	if err := json.Unmarshal(value, &e); err != nil {
		return nil, fmt.Errorf("decode roster entry of slot %d: %w", slot, err)
	}
	return &e, nil
}

func workerKey(slot int) string { return keyWorker + strconv.Itoa(slot) }
