package store

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// room is what the tightest memory cgroup above this process leaves.
type room struct {
	known       bool // false: no cgroup has a limit
	path        string
	limit, left int64
}

// unlimited is what a cgroup v1 without a limit says, about (PAGE_COUNTER_MAX).
const unlimited = 1 << 60

// cgroupRoom reads the limits and the use of every memory cgroup above this
// process, v1 and v2 (cgroups(7); Documentation/admin-guide/cgroup-v2.rst).
func cgroupRoom() (room, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if errors.Is(err, fs.ErrNotExist) {
		return room{}, nil
	}
	if err != nil {
		return room{}, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return room{}, err
	}
	var tightest room
	for line := range strings.Lines(string(text)) {
		// hierarchy:controllers:path; v2 has no controllers
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		v2 := controllers == ""
		if !v2 && !hasWord(controllers, "memory") {
			continue
		}
		mount, root := cgroupMount(string(mounts), v2)
		if mount == "" {
			continue
		}
		within, err := filepath.Rel(root, path)
		if err != nil || strings.HasPrefix(within, "..") {
			within = "." // a cgroup namespace, or a bind mount, of which this is the top
		}
		for dir := filepath.Join(mount, within); strings.HasPrefix(dir, mount); dir = filepath.Dir(dir) {
			if r := readRoom(dir, v2); r.known && (!tightest.known || r.left < tightest.left) {
				tightest = r
			}
		}
	}
	return tightest, nil
}

func hasWord(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// cgroupMount finds where a hierarchy is mounted, and which of its paths is
// the mount's root (proc(5), mountinfo).
func cgroupMount(mounts string, v2 bool) (mount, root string) {
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		fields, tail := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(tail) < 3 {
			continue
		}
		if v2 && tail[0] == "cgroup2" || !v2 && tail[0] == "cgroup" && hasWord(tail[2], "memory") {
			return fields[4], fields[3]
		}
	}
	return "", ""
}

// readRoom reads one cgroup. The page cache that it could give back counts as
// free.
func readRoom(dir string, v2 bool) room {
	limitFile, useFile, cacheName := "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
	if v2 {
		limitFile, useFile, cacheName = "memory.max", "memory.current", "inactive_file"
	}
	limit, ok := readNumber(filepath.Join(dir, limitFile))
	if !ok || limit >= unlimited {
		return room{}
	}
	used, ok := readNumber(filepath.Join(dir, useFile))
	if !ok {
		return room{}
	}
	used -= min(used, statOf(filepath.Join(dir, "memory.stat"), cacheName))
	return room{known: true, path: dir, limit: limit, left: max(0, limit-used)}
}

func readNumber(path string) (int64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is no number: no limit
	return n, err == nil
}

func statOf(path, name string) int64 {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			n, _ := strconv.ParseInt(value, 10, 64)
			return n
		}
	}
	return 0
}
