package resp

import "prefork/ipc/store"

// warmer is a store that can be told of the keys of the next operations. It
// reads what they will read, of all of them at once: one after the other, most
// of an operation's time is spent in waiting for memory.
type warmer interface {
	Warm(keys [][]byte)
}

// aheadMost is how many commands are parsed before the first of them runs.
const aheadMost = 16

// ahead are commands of one client that are parsed and have not run. They are
// parts of its input, so they are good for one turn at most.
type ahead struct {
	is    bounds // what they were parsed by
	plans []plan
	done  int // of plans
	argv  [][]byte
	keys  [][]byte
}

// plan is one command: where its arguments are, and its length in the input.
type plan struct{ from, to, length int }

// look parses the commands at the beginning of b, up to one that whole does
// not take.
func (h *ahead) look(b []byte, is *bounds) {
	h.forget()
	h.is = *is
	for range aheadMost {
		argv, n := whole(b, is, h.argv)
		if n == 0 {
			return
		}
		h.plans = append(h.plans, plan{len(h.argv), len(argv), n})
		h.argv = argv
		b = b[n:]
	}
}

// next gives a command that was parsed by these bounds, which the one before
// it may have changed. 0: there is none.
func (h *ahead) next(is *bounds) (args [][]byte, length int) {
	if h.done == len(h.plans) {
		return nil, 0
	}
	if h.is != *is {
		h.forget()
		return nil, 0
	}
	p := h.plans[h.done]
	h.done++
	return h.argv[p.from:p.to:p.to], p.length
}

// forget lets go of the input: a buffer must not live for an argument in it.
func (h *ahead) forget() {
	clear(h.argv)
	clear(h.keys)
	h.plans, h.done, h.argv, h.keys = h.plans[:0], 0, h.argv[:0], h.keys[:0]
}

// plan parses ahead in a client's input, and tells the store of the keys, but
// for a client that may not read them. For a command without a key it is told
// of another word, which costs a look.
func (s *server) plan(b []byte, is *bounds) {
	h := &s.ahead
	h.look(b, is)
	if s.warm == nil || is.guest || len(h.plans) < 2 {
		return
	}
	for _, p := range h.plans {
		if p.to-p.from > 1 && len(h.argv[p.from+1]) <= store.MaxKey {
			h.keys = append(h.keys, h.argv[p.from+1])
		}
	}
	if len(h.keys) > 1 {
		s.warm.Warm(h.keys)
	}
}
