package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"prefork/scripts/storm/inject"
	"prefork/scripts/storm/load"
)

// Plan says what each peer goes through.
type Plan struct {
	Workers int
	Reloads int // one each Every, under the closed loop, and again in the open one
	Kills   int // of random workers, one each Every
	Every   time.Duration
	Load    load.Config // but for Target, Path and Rate
	Seed    uint64
	Log     io.Writer // of the faults, and of each run's summary
}

// Row is one peer's part of the table.
type Row struct {
	Peer string
	Err  error // why it could not be driven; the rest is empty then

	Closed *load.Result // reloads, closed loop
	Open   *load.Result // reloads, open loop at half of that throughput
	Kills  *load.Result // kills, closed loop
}

// settle is how long a run goes on after its last fault, and before its first.
const settle = time.Second

// Compare drives the peers one after the other.
func (p Plan) Compare(ctx context.Context, peers []Peer) []Row {
	var rows []Row
	for _, peer := range peers {
		if ctx.Err() != nil {
			break
		}
		row := Row{Peer: peer.Name}
		row.Err = p.drive(ctx, peer, &row)
		rows = append(rows, row)
	}
	return rows
}

func (p Plan) drive(ctx context.Context, peer Peer, row *Row) (err error) {
	dir, err := os.MkdirTemp("", "storm-peer-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { // workers of another user read there
		return err
	}
	s, err := peer.start(ctx, dir, p.Workers)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer func() { err = errors.Join(err, s.stop(peer.Stop)) }()
	master := s.cmd.Process.Pid
	reload := inject.Spec{Name: "reload", Signal: peer.Reload, PID: master, Count: p.Reloads, After: settle, Every: p.Every}
	if row.Closed, err = p.run(ctx, peer.Name+", reloads, closed loop", s.address, 0, reload); err != nil {
		return err
	}
	if row.Open, err = p.run(ctx, peer.Name+", reloads, open loop", s.address, row.Closed.Rate()/2, reload); err != nil {
		return err
	}
	if p.Kills == 0 {
		return nil
	}
	kill, err := inject.Parse(fmt.Sprintf("kill=kill:children@%d", master))
	if err != nil {
		return err
	}
	kill.Count, kill.After, kill.Every = p.Kills, settle, p.Every
	row.Kills, err = p.run(ctx, peer.Name+", kills", s.address, 0, kill)
	return err
}

// run is one load with one kind of fault.
func (p Plan) run(ctx context.Context, name, address string, rate float64, fault inject.Spec) (*load.Result, error) {
	c := p.Load
	c.Target, c.Path, c.Rate = address, "/ok", rate
	l, err := load.Start(c)
	if err != nil {
		return nil, err
	}
	specs := []inject.Spec{fault}
	_, faultErr := inject.Run(ctx, specs, inject.Schedule(specs, p.Seed), l, p.Log)
	timer := time.NewTimer(settle)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	r, err := l.Stop()
	if err := errors.Join(err, faultErr, ctx.Err()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	_, err = fmt.Fprintf(p.Log, "%s\n%s", name, r.Summary())
	return r, err
}
