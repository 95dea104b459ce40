package master

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

type rlimit struct {
	name     string
	resource int
	bytes    bool
}

// rlimits are the resources of setrlimit(2). Bytes says that the kernel counts
// the resource in bytes, so that K, M, G and T mean something.
var rlimits = []rlimit{
	{"as", unix.RLIMIT_AS, true},
	{"core", unix.RLIMIT_CORE, true},
	{"cpu", unix.RLIMIT_CPU, false},
	{"data", unix.RLIMIT_DATA, true},
	{"fsize", unix.RLIMIT_FSIZE, true},
	{"locks", unix.RLIMIT_LOCKS, false},
	{"memlock", unix.RLIMIT_MEMLOCK, true},
	{"msgqueue", unix.RLIMIT_MSGQUEUE, true},
	{"nice", unix.RLIMIT_NICE, false},
	{"nofile", unix.RLIMIT_NOFILE, false},
	{"nproc", unix.RLIMIT_NPROC, false},
	{"rss", unix.RLIMIT_RSS, true},
	{"rtprio", unix.RLIMIT_RTPRIO, false},
	{"rttime", unix.RLIMIT_RTTIME, false},
	{"sigpending", unix.RLIMIT_SIGPENDING, false},
	{"stack", unix.RLIMIT_STACK, true},
}

// RlimitNames are the resources that ParseRlimit knows, sorted.
func RlimitNames() []string {
	var names []string
	for _, r := range rlimits {
		names = append(names, r.name)
	}
	return names
}

// ParseRlimit reads "nofile=1024", "as=256M", "core=unlimited" or, soft and
// hard, "nofile=1024:4096". K, M, G and T are powers of 1024.
func ParseRlimit(text string) (Rlimit, error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return Rlimit{}, fmt.Errorf("%q is no limit: want RESOURCE=LIMIT or RESOURCE=SOFT:HARD, for example nofile=1024", text)
	}
	i := slices.IndexFunc(rlimits, func(r rlimit) bool { return r.name == name })
	if i < 0 {
		return Rlimit{}, fmt.Errorf("%q is no resource: want one of %s", name, strings.Join(RlimitNames(), ", "))
	}
	soft, hard, two := strings.Cut(value, ":")
	if !two {
		hard = soft
	}
	r := Rlimit{Name: name, Resource: rlimits[i].resource}
	var err error
	if r.Cur, err = parseLimit(soft, rlimits[i].bytes); err != nil {
		return Rlimit{}, fmt.Errorf("%s: %w", name, err)
	}
	if r.Max, err = parseLimit(hard, rlimits[i].bytes); err != nil {
		return Rlimit{}, fmt.Errorf("%s: %w", name, err)
	}
	if r.Cur > r.Max {
		return Rlimit{}, fmt.Errorf("%s: soft limit %s above hard limit %s: want SOFT:HARD", name, soft, hard)
	}
	return r, nil
}

func parseLimit(text string, bytes bool) (uint64, error) {
	if text == "unlimited" || text == "infinity" {
		return unix.RLIM_INFINITY, nil
	}
	digits, shift := text, 0
	if bytes && text != "" {
		if i := strings.IndexByte("KMGT", text[len(text)-1]); i >= 0 {
			digits, shift = text[:len(text)-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > (unix.RLIM_INFINITY-1)>>shift {
		if bytes {
			return 0, fmt.Errorf("%q is no limit: want bytes such as 1024, 256M or 2G, or unlimited", text)
		}
		return 0, fmt.Errorf("%q is no limit: want a number such as 1024, or unlimited", text)
	}
	return n << shift, nil
}

// String is a text that ParseRlimit reads.
func (r Rlimit) String() string {
	if r.Cur == r.Max {
		return r.Name + "=" + formatLimit(r.Cur)
	}
	return r.Name + "=" + formatLimit(r.Cur) + ":" + formatLimit(r.Max)
}

func formatLimit(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}
