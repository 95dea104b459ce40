//go:build faults

package faults

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"prefork/ipc/store"
	"prefork/worker"
)

// The wall clock of one of two workers jumps a year ahead, and then two years
// back. Nothing expires for it, nothing stays for it, and the other one does
// not notice: entries and locks go by CLOCK_BOOTTIME, or by the server's clock.
func TestWallClockThatJumpsExpiresAndKeepsNothing(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("missing: a clock_gettime to put into the vDSO of " + runtime.GOARCH)
	}
	for _, backend := range []string{"embedded", "redis"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel() // it waits most of its time
			flags := []string{"-w", "2", "--drain-timeout", "1s"}
			if backend == "redis" {
				flags = append(flags, "--store", fmt.Sprintf("redis://%s/0?timeout=5s&lease=1m", startRedis(t).addr()))
			}
			jumper, other := startJumping(t, flags)
			for _, x := range []*caller{jumper, other} {
				x.set(t, x.name("long"), time.Hour)
				x.set(t, x.name("short"), time.Second)
			}
			const year = 365 * 24 * time.Hour
			for i, jump := range []time.Duration{year, -2 * year} {
				wall := jumper.jump(t, jump)
				if off := time.Until(wall); off > -year/2 && off < year/2 {
					t.Fatalf("the clock of the worker is off by %v", off)
				}
				for _, x := range []*caller{jumper, other} {
					// Written before the jump, read by both.
					for _, by := range []*caller{jumper, other} {
						got := x.do(t, storeCall{Verb: "Get", Key: by.name("long")})
						if !got.Found || got.Entry.TTL > time.Hour || got.Entry.TTL < time.Hour-2*Patience {
							t.Errorf("jump %d: %+v of an entry with an hour", i, got)
						}
					}
					// Written after it, and until then.
					key := x.name(fmt.Sprint("after ", i))
					x.set(t, key, 200*time.Millisecond)
					for _, gone := range []string{key, jumper.name("short"), other.name("short")} {
						Eventually(t, gone+" expires", func() bool { return !x.do(t, storeCall{Verb: "Get", Key: gone}).Found })
					}
				}
				// A lock of the one is held for the other, and ends with its time.
				for _, pair := range [][2]*caller{{jumper, other}, {other, jumper}} {
					name := pair[0].name(fmt.Sprint("lock ", i))
					kept := pair[0].do(t, storeCall{Verb: "Lock", Key: name})
					if got := pair[1].do(t, storeCall{Verb: "Lock", Key: name}); !kept.Found || got.Found {
						t.Errorf("jump %d: %+v while it is held by %+v", i, got, kept)
					}
					if got := pair[0].do(t, storeCall{Verb: "Unlock", Token: kept.Token}); got.Error != "" {
						t.Errorf("jump %d: unlock: %s", i, got.Error)
					}
					short := pair[0].do(t, storeCall{Verb: "Lock", Key: name, TTL: 200 * time.Millisecond})
					next := pair[1].do(t, storeCall{Verb: "Lock", Key: name, TTL: time.Minute, Wait: Patience})
					if !short.Found || !next.Found || short.Token.Number <= kept.Token.Number || next.Token.Number <= short.Token.Number {
						t.Errorf("jump %d: %+v, %+v and %+v, one after the other", i, kept, short, next)
					}
				}
			}
		})
	}
}

// clockCall is a jump of the worker's wall clock, if it is not 0, and then an
// operation, if it has a verb.
type clockCall struct {
	Jump time.Duration
	Call storeCall
}

type clockReply struct {
	Wall  time.Time // what the worker takes for the time of day
	Reply storeReply
}

// The role "jumping SOCKET" connects to the test and does the calls that come.
var _ = Role("jumping", func(args []string) {
	serveRole("jumping", func(w *worker.Worker) error {
		clock, err := takeWallClock()
		if err != nil {
			return err
		}
		conn, err := net.Dial("unix", args[0])
		if err != nil {
			return err
		}
		go answerCalls(conn, func(c clockCall) (r clockReply, err error) {
			if c.Jump != 0 {
				err = clock.jump(c.Jump)
			}
			r.Wall = time.Now().Round(0) // without the monotonic clock
			if c.Call.Verb != "" {
				r.Reply = c.Call.do(w.Store())
			}
			return r, err
		})
		if err := w.Ready(); err != nil {
			return err
		}
		return w.Wait()
	})
})

// startJumping starts a pool of two such workers.
func startJumping(t *testing.T, flags []string) (one, two *caller) {
	t.Helper()
	p := startCalledAt(t, Options{Flags: flags}, "jumping")
	return p.next(t), p.next(t)
}

func (x *caller) ask(t *testing.T, c clockCall) (r clockReply) {
	t.Helper()
	if err := x.exchange(c, &r); err != nil {
		t.Fatalf("%+v by worker %d: %v", c, x.PID, err)
	}
	return r
}

func (x *caller) jump(t *testing.T, by time.Duration) time.Time {
	t.Helper()
	return x.ask(t, clockCall{Jump: by}).Wall
}

func (x *caller) do(t *testing.T, c storeCall) storeReply {
	t.Helper()
	return x.ask(t, clockCall{Call: c}).Reply
}

func (x *caller) set(t *testing.T, key string, ttl time.Duration) {
	t.Helper()
	if r := x.do(t, storeCall{Verb: "Set", Key: key, Value: []byte("v"), Write: store.Write{TTL: ttl}}); r.Error != "" {
		t.Fatalf("set %s: %s", key, r.Error)
	}
}

// name is a key of this caller's.
func (x *caller) name(what string) string { return fmt.Sprintf("%s of %d", what, x.PID) }

// wallClock is CLOCK_REALTIME of this process alone. Go reads it by the
// function of the vDSO (vdso(7)), which libfaketime does not reach: that one
// replaces the functions of the C library. So the vDSO's is replaced, in this
// process' own copy of the page.
type wallClock struct {
	mem    *os.File // /proc/self/mem, which writes where the program may not (proc_pid_mem(5))
	offset int64    // where the seconds are that are added
	by     time.Duration
}

// replacement does the system call, and adds the number 32 bytes from its
// beginning to the seconds of clock 0, CLOCK_REALTIME. A number that is aligned
// is read as it was before a write or after.
var replacement = []byte{
	0xb8, 0xe4, 0x00, 0x00, 0x00, // mov  $228, %eax    clock_gettime
	0x0f, 0x05, //                   syscall
	0x85, 0xff, //                   test %edi, %edi
	0x75, 0x0a, //                   jne  ret
	0x48, 0x8b, 0x0d, 0x0e, 0x00, 0x00, 0x00, // mov 14(%rip), %rcx
	0x48, 0x01, 0x0e, //             add  %rcx, (%rsi)
	0xc3, //                         ret
}

const replacementOffset = 32

func takeWallClock() (*wallClock, error) {
	const baseOfVDSO = 33 // AT_SYSINFO_EHDR, getauxval(3)
	aux, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		return nil, err
	}
	var base uint64
	for ; len(aux) >= 16; aux = aux[16:] {
		if binary.LittleEndian.Uint64(aux) == baseOfVDSO {
			base = binary.LittleEndian.Uint64(aux[8:])
		}
	}
	mem, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	image := make([]byte, 8192)
	n, err := mem.ReadAt(image, int64(base))
	if err != nil && n < 4096 {
		return nil, fmt.Errorf("read the vDSO at %#x: %w", base, err)
	}
	file, err := elf.NewFile(bytes.NewReader(image[:n]))
	if err != nil {
		return nil, err
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return nil, err
	}
	for _, s := range symbols {
		if s.Name != "__vdso_clock_gettime" || s.Value%8 != 0 || s.Size < replacementOffset+8 {
			continue
		}
		code := make([]byte, replacementOffset+8)
		copy(code, replacement)
		at := int64(base + s.Value)
		_, err := mem.WriteAt(code, at)
		return &wallClock{mem: mem, offset: at + replacementOffset}, err
	}
	return nil, fmt.Errorf("no __vdso_clock_gettime of %d bytes", replacementOffset+8)
}

// jump sets it ahead, or back.
func (c *wallClock) jump(by time.Duration) error {
	c.by += by
	_, err := c.mem.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(c.by/time.Second)), c.offset)
	return err
}
