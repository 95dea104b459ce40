package master

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/store"
	"prefork/master/internal/pool"
)

// sharedStore is what the master holds of the store: its segment, which it
// makes and never looks into, and the sockets that lead to it. It belongs to
// the loop.
type sharedStore struct {
	cfg     Store
	segment *store.Segment // nil but with a store in memory
	holder  func(shard int) (id, turn uint64, ok bool)
	control string // path of the control socket; "" none
	fronts  []*front
	opened  int              // fronts so far: the number of the last one
	loaded  bool             // the store's file was read
	lastID  uint64           // drawn where there is no segment
	ids     map[uint64]*proc // by the id that a process has in the store
}

// open makes an empty store. control is a socket that this master holds.
func (s *sharedStore) open(cfg Store, control string) (err error) {
	s.cfg, s.control, s.ids = cfg, control, map[uint64]*proc{}
	if cfg.Kind != StoreMemory {
		return nil
	}
	if control != "" {
		if s.control, err = filepath.Abs(control); err != nil { // workers have another working folder
			return err
		}
		removeFronts(s.control)
	}
	if s.segment, err = store.Create(cfg.Memory); err != nil {
		return err
	}
	s.holder = s.segment.Holder
	return nil
}

// explainSize names the limit that a segment is too large for: ftruncate(2) and
// mmap(2), ERRORS.
func explainSize(err error) error {
	for _, l := range []struct {
		no       unix.Errno
		resource int
		name     string
	}{{unix.EFBIG, unix.RLIMIT_FSIZE, "RLIMIT_FSIZE"}, {unix.ENOMEM, unix.RLIMIT_AS, "RLIMIT_AS"}} {
		var limit unix.Rlimit
		if errors.Is(err, l.no) && unix.Getrlimit(l.resource, &limit) == nil && limit.Cur != unix.RLIM_INFINITY {
			return fmt.Errorf("%w: the master's %s is %d bytes", err, l.name, limit.Cur)
		}
	}
	return err
}

// fd gives the segment's descriptor, -1 where there is none.
func (s *sharedStore) fd() int {
	if s.segment == nil {
		return -1
	}
	return s.segment.FD()
}

// drawID gives an id for the next process. The counter stands where workers
// can write, so that it is not what keeps two processes apart: the table is.
func (s *sharedStore) drawID() uint64 {
	for {
		s.lastID++
		id := s.lastID
		if s.segment != nil {
			id = s.segment.DrawID()
		}
		if _, taken := s.ids[id]; !taken {
			return id
		}
	}
}

func (s *sharedStore) close() {
	for _, f := range s.fronts {
		f.close()
	}
	s.fronts = nil
	if s.segment != nil {
		_ = s.segment.Close()
	}
}

// frontFor gives the front that workers with these ids can reach, nil without a
// store in memory.
func (m *master) frontFor(id identity, cfg Config) (*front, error) {
	s := &m.store
	if s.segment == nil {
		return nil, nil
	}
	for _, f := range s.fronts {
		if f.ids.uid == id.uid {
			return f, nil
		}
	}
	f, err := openFront(s.control, id, s.fronts)
	if err != nil {
		return nil, err
	}
	s.opened++
	f.number = s.opened
	s.fronts = append(s.fronts, f)
	m.also = append(m.also, pool.HelperAdded{Helper: f.number, Config: pool.HelperConfig{
		Always: cfg.StoreFile != "", StartTimeout: cfg.StartTimeout, DrainTimeout: helperDrain,
	}})
	return f, nil
}

// helperDrain bounds the stop of a helper: what it does is over at once, but
// for writing the store's file.
const helperDrain = 30 * time.Second

func (s *sharedStore) front(number int) *front {
	for _, f := range s.fronts {
		if f.number == number {
			return f
		}
	}
	return nil
}

// dropFronts closes the fronts that no generation has any more: a reload that
// gives the workers another user makes one, and leaves one behind.
func (m *master) dropFronts() {
	m.store.fronts = slices.DeleteFunc(m.store.fronts, func(f *front) bool {
		for _, g := range m.gens {
			if g.front == f {
				return false
			}
		}
		f.close()
		m.also = append(m.also, pool.HelperDropped{Helper: f.number})
		return true
	})
}

// removeFronts removes the sockets of a master that is gone, as the control
// socket proves. Helpers of it that still run keep their clients.
func removeFronts(control string) {
	dir, base := filepath.Split(control)
	left, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return // the bind will say it
	}
	for _, e := range left {
		if rest, ok := strings.CutPrefix(e.Name(), base+frontSuffix); ok && strings.Trim(rest, "-0123456789") == "" && e.Type() == os.ModeSocket {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
