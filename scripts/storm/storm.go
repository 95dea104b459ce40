package main

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

// options are the flags of a storm.
type options struct {
	load      load.Config
	duration  time.Duration
	open      bool
	calibrate time.Duration
	faults    []inject.Spec
	seed      uint64
	log       string
	replay    string
	json      bool
}

func storm(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	var o options
	fs := flagSet(stderr)
	loadFlags(fs, &o.load)
	fs.StringVar(&o.load.Target, "target", "", "address: 127.0.0.1:8080, unix:/path")
	fs.StringVar(&o.load.Path, "path", "/", "path of the requests")
	fs.Float64Var(&o.load.Rate, "rate", 0, "requests a second, open loop; 0: closed loop")
	fs.DurationVar(&o.duration, "for", 10*time.Second, "how long; with faults at least until 1 s after the last one")
	fs.BoolVar(&o.open, "open", false, "open loop at half of the rate that a closed loop has first")
	fs.DurationVar(&o.calibrate, "calibrate", 3*time.Second, "how long that closed loop is")
	fs.Func("fault", "a fault, see above (repeatable)", func(text string) error {
		s, err := inject.Parse(text)
		o.faults = append(o.faults, s)
		return err
	})
	fs.Uint64Var(&o.seed, "seed", 1, "of the faults' times and victims")
	fs.StringVar(&o.log, "log", "", "file for the log of faults")
	fs.StringVar(&o.replay, "replay", "", "log of faults to inject again")
	fs.BoolVar(&o.json, "json", false, "print the result as JSON")
	if err := parse(fs, args); err != nil {
		return err
	}
	if o.load.Target == "" {
		return usageError(fs, errors.New("-target is missing"))
	}
	events := inject.Schedule(o.faults, o.seed)
	if o.replay != "" {
		if events, err = readLog(o.replay); err != nil {
			return err
		}
	}
	log := io.Discard
	if o.log != "" {
		file, err := os.Create(o.log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		log = file
	}
	if o.open {
		r, err := load.Run(ctx, o.load, o.calibrate)
		if err != nil {
			return err
		}
		fmt.Fprintf(stderr, "closed loop: %s", r.Summary())
		o.load.Rate = r.Rate() / 2
	}
	r, err := o.run(ctx, events, log)
	if r == nil {
		return err
	}
	return errors.Join(report(stdout, r, o.json), err)
}

func readLog(path string) ([]inject.Event, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return inject.ReadLog(file)
}

// run is the load with its faults. An error comes with a result when faults
// could not be injected.
func (o options) run(ctx context.Context, events []inject.Event, log io.Writer) (*load.Result, error) {
	l, err := load.Start(o.load)
	if err != nil {
		return nil, err
	}
	end := time.Now().Add(o.duration)
	_, faultErr := inject.Run(ctx, o.faults, events, l, log)
	left := time.Until(end)
	if len(events) > 0 {
		left = max(left, time.Second)
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	r, err := l.Stop()
	return r, errors.Join(err, faultErr)
}
