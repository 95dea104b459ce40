package ipc

import (
	"fmt"
	"strconv"
	"strings"
)

// FD is one entry of PREFORK_FDS: a descriptor that a worker is given beside
// its sockets.
type FD struct {
	Name   string // FDLifeline, ...: lower-case letters, digits, "-" and "_"
	Number int    // 3 or more
}

// Bounds of PREFORK_FDS. Numbers stay below the kernel's hard ceiling of
// descriptors (fs.nr_open, 1,048,576 by default).
const (
	maxFDs      = 64
	maxFDName   = 64
	maxFDNumber = 1 << 20
)

// FormatFDs gives the text of PREFORK_FDS, in the order of the list. Names
// come from this package's constants: one that ParseFDs would refuse is a
// broken invariant of the caller, and panics.
func FormatFDs(fds []FD) string {
	var b strings.Builder
	for i, f := range fds {
		if err := f.check(); err != nil {
			panic("ipc: " + err.Error())
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(f.Name + ":" + strconv.Itoa(f.Number))
	}
	return b.String()
}

// ParseFDs reads the text of PREFORK_FDS, strictly: what FormatFDs does not
// write is an error. Names that the caller does not know are kept, so that a
// newer master can hand over more. An empty text has no entries.
func ParseFDs(text string) (map[string]int, error) {
	fds := make(map[string]int)
	if text == "" {
		return fds, nil
	}
	entries := strings.SplitN(text, ",", maxFDs+1)
	if len(entries) > maxFDs {
		return nil, fmt.Errorf("parse %s: more than %d entries", EnvFDs, maxFDs)
	}
	numbers := make(map[int]string, len(entries))
	for _, entry := range entries {
		name, digits, ok := strings.Cut(entry, ":")
		if !ok {
			return nil, fmt.Errorf("parse %s: entry %q: want name:number", EnvFDs, entry)
		}
		number, err := strconv.Atoi(digits)
		if err != nil || strconv.Itoa(number) != digits {
			return nil, fmt.Errorf("parse %s: entry %q: number %q is not a descriptor", EnvFDs, entry, digits)
		}
		if err := (FD{name, number}).check(); err != nil {
			return nil, fmt.Errorf("parse %s: %w", EnvFDs, err)
		}
		if _, twice := fds[name]; twice {
			return nil, fmt.Errorf("parse %s: name %q stands there twice", EnvFDs, name)
		}
		if other, twice := numbers[number]; twice {
			return nil, fmt.Errorf("parse %s: descriptor %d is both %q and %q", EnvFDs, number, other, name)
		}
		fds[name], numbers[number] = number, name
	}
	return fds, nil
}

func (f FD) check() error {
	if f.Name == "" || len(f.Name) > maxFDName {
		return fmt.Errorf("name %q: want 1 to %d characters", f.Name, maxFDName)
	}
	for _, c := range []byte(f.Name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return fmt.Errorf("name %q: want lower-case letters, digits, - and _", f.Name)
		}
	}
	if f.Number < ListenFDStart || f.Number >= maxFDNumber {
		return fmt.Errorf("descriptor %d of %q: want %d to %d", f.Number, f.Name, ListenFDStart, maxFDNumber-1)
	}
	return nil
}
