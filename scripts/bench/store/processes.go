package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"
)

// processes are those that measure one backend with so many entries.
type processes struct {
	kind    string
	workers []*process
	close   []func() error // in reverse order
}

type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// result is what a round gave.
type result struct {
	perOp time.Duration // of one process: the mean of all of them
	cpu   time.Duration // of that, what the process ran
	rate  float64       // operations a second, all processes
}

// start starts processes with a backend of their own and fills that.
func start(kind string, entries, count int) (_ *processes, err error) {
	p := &processes{kind: kind}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s with %d entries: %w", kind, entries, err), p.stop())
		}
	}()
	env, files, err := p.serve(entries)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for i := range count {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1", envBackend+"="+kind, envEntries+"="+strconv.Itoa(entries), envSeed+"="+strconv.Itoa(i))
		cmd.Env = append(cmd.Env, env...)
		cmd.ExtraFiles, cmd.Stderr = files, os.Stderr
		if err := p.spawn(cmd); err != nil {
			return nil, err
		}
	}
	_, err = p.workers[0].ask("fill")
	return p, err
}

func (p *processes) spawn(cmd *exec.Cmd) error {
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return errors.Join(err, in.Close())
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	w := &process{cmd, in, bufio.NewReader(out)}
	p.workers = append(p.workers, w)
	if line, err := w.out.ReadString('\n'); err != nil || line != "ready\n" {
		return fmt.Errorf("worker said %q: %w", line, err)
	}
	return nil
}

func (w *process) ask(line string) (result, error) {
	if err := w.tell(line); err != nil {
		return result{}, err
	}
	return w.hear()
}

func (w *process) tell(line string) error {
	_, err := io.WriteString(w.in, line+"\n")
	return err
}

func (w *process) hear() (result, error) {
	line, err := w.out.ReadString('\n')
	if err != nil {
		return result{}, fmt.Errorf("read the answer of a worker: %w", err)
	}
	var n, nanos, cpu int64
	if _, err := fmt.Sscan(line, &n, &nanos, &cpu); err != nil || n == 0 {
		return result{}, fmt.Errorf("worker answered %q: %w", line, err)
	}
	return result{time.Duration(nanos / n), time.Duration(cpu / n), float64(n) * 1e9 / float64(nanos)}, nil
}

// round has the first count processes do one kind of operation for a while,
// all at once.
func (p *processes) round(verb string, count int, d time.Duration) (result, error) {
	var sum result
	line := verb + " " + strconv.FormatInt(d.Nanoseconds(), 10)
	for _, w := range p.workers[:count] {
		if err := w.tell(line); err != nil {
			return sum, err
		}
	}
	for _, w := range p.workers[:count] {
		r, err := w.hear()
		if err != nil {
			return sum, fmt.Errorf("%s: %w", p.kind, err)
		}
		sum.perOp += r.perOp / time.Duration(count)
		sum.cpu += r.cpu / time.Duration(count)
		sum.rate += r.rate
	}
	return sum, nil
}

// stop ends the processes, waits for them and takes down what they used.
func (p *processes) stop() error {
	var errs []error
	for _, w := range p.workers {
		errs = append(errs, w.in.Close())
	}
	for _, w := range p.workers {
		if err := w.cmd.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("worker: %w", err))
		}
	}
	for _, f := range slices.Backward(p.close) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}
