package helper

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"prefork/ipc"
	"prefork/ipc/resp"
	"prefork/ipc/store"
)

// Priorities of lines on stderr, sd-daemon(3): the master logs them so.
const (
	warning = "<4>"
	info    = "<6>"
)

// Store is the store helper, from its begin to its end; it gives the exit
// code. The master has executed this process for nothing else.
func Store(args []string, version string, stderr io.Writer) int {
	p, err := join(args)
	if err == nil {
		err = p.serve(version, stderr)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "store helper: %v\n", err)
		return 1
	}
	return 0
}

// serve answers clients until it is told to stop, or the master is gone and
// nobody needs it any more.
func (p *place) serve(version string, stderr io.Writer) error {
	say := func(priority, format string, args ...any) {
		_, _ = fmt.Fprintln(stderr, priority+strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; "))
	}
	s, err := p.openStore(say)
	if err != nil || s == nil {
		return err
	}
	defer func() { _ = s.Close() }()
	k := &keeper{path: p.file, store: s, say: say}
	if p.file != "" {
		if err := k.begin(p.load); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	alone := sockets()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.await(ctx, k, func() bool { return sockets() > alone })
		stop()
	}()
	if err := p.sayReady(ctx); err != nil {
		return err
	}
	err = resp.Serve(ctx, p.listener, s, resp.Options{
		Version: version,
		Closed:  func(reason string) { say("<7>", "closed a client: %s", reason) },
	})
	stop()
	<-ended
	k.end()
	return err
}

// openStore joins the store. Where there is no memory for it, clients are told
// so, one by one: it may be there for the next. nil: it was told to stop
// meanwhile.
func (p *place) openStore(say func(priority, format string, args ...any)) (*store.Embedded, error) {
	o := store.Options{ID: p.id, Busy: func(shard int, id uint64) {
		_ = p.notify.Send(ipc.Busy{Shard: shard, ID: id}.String()) // a full queue: whoever waits next reports again
	}}
	s, err := store.Open(p.store, o)
	if err == nil || p.file != "" {
		return s, err
	}
	say(warning, "the store cannot be used: %v", err)
	if err := p.sayReady(context.Background()); err != nil {
		return nil, err
	}
	return p.refuse(o, err)
}

// sayReady says that clients are served. The word is said once, so it is said
// again while the master's queue is full.
func (p *place) sayReady(ctx context.Context) error {
	for {
		err := p.notify.Send("READY=1")
		if err == nil || !isDropped(err) {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
}

// await returns when it is time to stop: at the stop signal, or after the end
// of the master once no client is left, within the workers' drain timeout.
func (p *place) await(ctx context.Context, k *keeper, clients func() bool) {
	gone := p.masterGone()
	var tick <-chan time.Time // never, without a file
	if p.file != "" {
		every := time.NewTicker(saveEvery)
		defer every.Stop()
		tick = every.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.told:
			return
		case <-tick:
			k.periodic()
		case <-gone:
			k.orphaned()
			p.last(ctx, clients)
			return
		}
	}
}

// last lets workers that drain without their master finish.
func (p *place) last(ctx context.Context, clients func() bool) {
	late := time.NewTimer(p.drain)
	defer late.Stop()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for clients() {
		select {
		case <-look.C:
		case <-late.C:
			return
		case <-p.told:
			return
		case <-ctx.Done():
			return
		}
	}
}

// sockets counts this process' open sockets.
func sockets() int {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0
	}
	n := 0
	for _, name := range names {
		if link, err := os.Readlink("/proc/self/fd/" + name); err == nil && strings.HasPrefix(link, "socket:") {
			n++
		}
	}
	return n
}
