package master

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"prefork/master/internal/pool"
)

// clockTick is the unit of utime and stime in /proc/PID/stat: sysconf(3),
// _SC_CLK_TCK, which is 100 on every Linux port that Go has (asm/param.h,
// USER_HZ).
const clockTick = time.Second / 100

// waitingWeight is what a part of the time on a run queue counts as use. What
// is ready to run and gets no processor is as little idle as what runs: on a
// busy machine a program that loads gets less than the little that counts as
// silence. A fifth of 200 ms is twice that little, so that who always wants to
// run is never silent; who wakes up ten times a second to look around, and has
// to wait each time, is.
const waitingWeight = 5

// groupsCPU gives the CPU time that each of these process groups has used, and
// a part of that which it waited for: its processes, and of the use also that
// of their children that they waited for.
func groupsCPU(leaders map[int]pool.ID) map[int]time.Duration {
	used := make(map[int]time.Duration, len(leaders))
	eachProcess(func(st procStat) {
		if _, ok := leaders[st.group]; ok {
			used[st.group] += st.cpu + runDelay(st.pid)/waitingWeight
		}
	})
	return used
}

// maxThreads bounds the look at one process: each thread costs the loop 20 µs,
// ten times a second, and how many there are is the worker's choice.
const maxThreads = 256

// runDelay gives the time that the threads of a process have spent on a run
// queue without running: the second number of /proc/PID/task/TID/schedstat, in
// nanoseconds (Linux, Documentation/scheduler/sched-stats.rst). 0 where the
// kernel does not count it. Of a process with more than maxThreads the oldest
// ones count.
func runDelay(pid int) time.Duration {
	dir := "/proc/" + strconv.Itoa(pid) + "/task/"
	open, err := os.Open(dir)
	if err != nil {
		return 0 // it has ended
	}
	defer open.Close()
	threads, err := open.Readdirnames(maxThreads)
	if err != nil {
		return 0
	}
	var sum time.Duration
	for _, t := range threads {
		data, err := os.ReadFile(dir + t + "/schedstat")
		if err != nil {
			continue
		}
		if f := bytes.Fields(data); len(f) > 1 {
			if n, err := strconv.ParseInt(string(f[1]), 10, 64); err == nil {
				sum += time.Duration(n)
			}
		}
	}
	return sum
}

// groupMembers names the other processes of a group: "sh (812)".
func groupMembers(group int) []string {
	var list []string
	eachProcess(func(st procStat) {
		if st.group == group && st.pid != group {
			list = append(list, clean(st.comm, 32)+" ("+strconv.Itoa(st.pid)+")")
		}
	})
	return list
}

// procStat is what is read of /proc/PID/stat: proc(5).
type procStat struct {
	pid, group int
	comm       string
	state      byte
	cpu        time.Duration
}

// eachProcess reads all processes once. One that ends meanwhile is left out.
func eachProcess(f func(procStat)) {
	dir, err := os.Open("/proc")
	if err != nil {
		return
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return
	}
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		data, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue
		}
		if st, ok := parseStat(data); ok {
			f(st)
		}
	}
}

// parseStat reads a line of /proc/PID/stat. The name stands in parentheses
// and may hold any byte, so fields are counted from its last ")".
func parseStat(data []byte) (procStat, bool) {
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 1 || end < open {
		return procStat{}, false
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(data[:open])))
	if err != nil {
		return procStat{}, false
	}
	rest := bytes.Fields(data[end+1:]) // from field 3, state
	if len(rest) < 15 {
		return procStat{}, false
	}
	st := procStat{pid: pid, comm: string(data[open+1 : end]), state: rest[0][0]}
	if st.group, err = strconv.Atoi(string(rest[2])); err != nil {
		return procStat{}, false
	}
	for _, field := range rest[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return procStat{}, false
		}
		st.cpu += time.Duration(n) * clockTick
	}
	return st, true
}
