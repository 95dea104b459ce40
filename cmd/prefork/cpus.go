package main

import (
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// availableCPUs is how many CPUs this process may use: its affinity mask, less
// where a cgroup's quota allows less, rounded up, at least 1.
//
// runtime.GOMAXPROCS(0) is not that number: it follows the variable GOMAXPROCS,
// which is meant for the workers' runtime; it does not go below 2 for a quota
// (runtime/cgroup_linux.go, adjustCgroupGOMAXPROCS, Go 1.26); and it reads the
// quota of the own cgroup only, not of those above it.
func availableCPUs() int {
	var set unix.CPUSet
	n := 1
	if err := unix.SchedGetaffinity(0, &set); err == nil {
		n = max(1, set.Count())
	}
	if quota, ok := cgroupQuota(os.DirFS("/")); ok {
		n = min(n, max(1, quota))
	}
	return n
}

// cgroupQuota reads the smallest CPU quota on the way from this process'
// cgroup to the root, in whole CPUs, rounded up: cpu.max of version 2,
// cpu.cfs_quota_us of version 1 (cgroups(7)). ok is false where none is set.
func cgroupQuota(root fs.FS) (cpus int, ok bool) {
	own, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(own)) {
		// hierarchy-ID:controllers:path
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		for _, dir := range cgroupMounts(part[1]) {
			for at := path.Clean("/" + part[2]); ; at = path.Dir(at) {
				if n, set := readQuota(root, path.Join(dir, at), part[1] == ""); set && (!ok || n < cpus) {
					cpus, ok = n, true
				}
				if at == "/" {
					break
				}
			}
		}
	}
	return cpus, ok
}

// cgroupMounts are the usual places of the hierarchy that has the controllers;
// none when the CPU controller is not among them.
func cgroupMounts(controllers string) []string {
	if controllers == "" {
		return []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"}
	}
	for c := range strings.SplitSeq(controllers, ",") {
		if c == "cpu" {
			return []string{"sys/fs/cgroup/cpu", "sys/fs/cgroup/" + controllers}
		}
	}
	return nil
}

func readQuota(root fs.FS, dir string, v2 bool) (cpus int, ok bool) {
	var quota, period string
	if v2 {
		text, err := fs.ReadFile(root, path.Join(dir, "cpu.max"))
		if err != nil {
			return 0, false
		}
		// "$MAX $PERIOD", where MAX may be "max".
		quota, period, _ = strings.Cut(strings.TrimSpace(string(text)), " ")
	} else {
		q, err := fs.ReadFile(root, path.Join(dir, "cpu.cfs_quota_us"))
		if err != nil {
			return 0, false
		}
		p, err := fs.ReadFile(root, path.Join(dir, "cpu.cfs_period_us"))
		if err != nil {
			return 0, false
		}
		quota, period = strings.TrimSpace(string(q)), strings.TrimSpace(string(p))
	}
	q, err := strconv.ParseInt(quota, 10, 64)
	if err != nil || q <= 0 { // "max", or -1: no quota
		return 0, false
	}
	p, err := strconv.ParseInt(period, 10, 64)
	if err != nil || p <= 0 {
		return 0, false
	}
	return int((q + p - 1) / p), true
}
