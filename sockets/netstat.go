package sockets

import (
	"fmt"
	"strconv"
	"strings"
)

// netstat reads one counter of /proc/net/netstat: pairs of lines that start
// with the same group, the first with the names, the second with the values.
func netstat(text, group, name string) (uint64, error) {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != group+":" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i := 1; i < min(len(names), len(fields)); i++ {
			if names[i] == name {
				n, err := strconv.ParseUint(fields[i], 10, 64)
				if err != nil {
					return 0, fmt.Errorf("%s %s: %w", group, name, err)
				}
				return n, nil
			}
		}
		break
	}
	return 0, fmt.Errorf("%s %s: not there", group, name)
}
