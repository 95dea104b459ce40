package inject

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"prefork/master/control"
)

// Victims says where the workers of a pool are to be asked for.
type Victims struct {
	socket  string   // path of prefork's control socket
	parent  int      // all children of a process
	command []string // prints the status as JSON
}

func parseVictims(text string) (*Victims, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if path == "" {
			return nil, errors.New("kill:unix: needs the path of a control socket")
		}
		return &Victims{socket: path}, nil
	}
	if pid, ok := strings.CutPrefix(text, "children@"); ok {
		parent, err := parsePID(pid)
		return &Victims{parent: parent}, err
	}
	command := strings.Fields(text)
	if len(command) == 0 {
		return nil, errors.New("kill: needs unix:PATH, children@PID or a command")
	}
	return &Victims{command: command}, nil
}

// Choose gives one ready worker. They are in the order of their slots, or of
// their pids where they have none: the same pick finds the same slot again.
func (v *Victims) Choose(ctx context.Context, pick uint64) (pid int, err error) {
	pids, err := v.list(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask for workers: %w", err)
	}
	if len(pids) == 0 {
		return 0, errors.New("no worker is ready")
	}
	return pids[pick%uint64(len(pids))], nil
}

func (v *Victims) list(ctx context.Context) ([]int, error) {
	if v.parent != 0 {
		return Children(v.parent)
	}
	status, err := v.status(ctx)
	if err != nil {
		return nil, err
	}
	workers := slices.DeleteFunc(status.Workers, func(w control.Worker) bool { return w.State != control.StateReady || w.PID < 2 })
	slices.SortFunc(workers, func(a, b control.Worker) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Generation, b.Generation))
	})
	pids := make([]int, len(workers))
	for i, w := range workers {
		pids[i] = w.PID
	}
	return pids, nil
}

func (v *Victims) status(ctx context.Context) (*control.Status, error) {
	if v.socket == "" {
		text, err := exec.CommandContext(ctx, v.command[0], v.command[1:]...).Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.command[0], err)
		}
		status := new(control.Status)
		if err := json.Unmarshal(text, status); err != nil {
			return nil, fmt.Errorf("%s: %w", v.command[0], err)
		}
		return status, nil
	}
	c, err := control.Dial(ctx, v.socket)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	a, err := c.Do(ctx, control.Request{Command: control.CmdStatus}, nil)
	if err != nil {
		return nil, err
	}
	if !a.OK || a.Status == nil {
		return nil, fmt.Errorf("status at %s: %s", v.socket, a.Error)
	}
	return a.Status, nil
}

// Children gives the children of a process, all threads' (proc(5),
// /proc/PID/task/TID/children), by pid.
func Children(parent int) ([]int, error) {
	dir := fmt.Sprintf("/proc/%d/task", parent)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, task := range tasks {
		text, err := os.ReadFile(dir + "/" + task.Name() + "/children")
		if err != nil {
			continue // the thread has ended meanwhile
		}
		for word := range bytes.FieldsSeq(text) {
			pid, err := strconv.Atoi(string(word))
			if err != nil {
				return nil, fmt.Errorf("children of %d: %w", parent, err)
			}
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}
