package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"prefork/ipc/store"
)

// Stats implements store.Stats with what the server counts, of a cluster with
// the sum over its primaries: for everybody who uses it, since it was started,
// locks' own commands included. Conflicts and Full are this process' own.
// Locks are not counted.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	var sum store.Stats
	doers := []doer{s.do}
	if s.set.mode == cluster {
		all, err := s.primaries(ctx)
		if err != nil {
			return sum, fmt.Errorf("stats: %w", err)
		}
		doers = doers[:0]
		for _, c := range all {
			doers = append(doers, s.doAt(c))
		}
	}
	for _, do := range doers {
		reply, err := do(ctx, "", "info", "all")
		text, isText := reply.(string)
		if err == nil && !isText {
			err = errAnswer
		}
		if err != nil {
			return store.Stats{}, fmt.Errorf("stats: %w", err)
		}
		addInfo(&sum, text, s.set.db)
	}
	sum.Conflicts, sum.Full = s.conflicts.Load(), s.full.Load()
	return sum, nil
}

// addInfo adds what INFO says, a line a figure.
func addInfo(sum *store.Stats, text string, db int) {
	keyspace := "db" + strconv.Itoa(db)
	figures := map[string]*int64{
		"used_memory": &sum.UsedBytes, "maxmemory": &sum.Bytes,
		"keyspace_hits": &sum.Hits, "keyspace_misses": &sum.Misses,
		"expired_keys": &sum.Expired, "evicted_keys": &sum.Evicted,
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case figures[name] != nil:
			*figures[name] += leading(value)
		case name == keyspace:
			sum.Entries += leading(strings.TrimPrefix(value, "keys="))
		}
		if command, isCommand := strings.CutPrefix(name, "cmdstat_"); isCommand {
			calls := leading(strings.TrimPrefix(value, "calls="))
			switch command {
			case "set", "setex", "psetex", "setnx", "mset", "getset", "append", "incr", "incrby", "decr", "decrby":
				sum.Sets += calls
			case "del", "unlink", "getdel":
				sum.Deletes += calls
			}
		}
	}
}

// leading reads the digits that a text begins with.
func leading(text string) int64 {
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(text[:end], 10, 64)
	if err != nil {
		return 0 // not a figure: an INFO of another server
	}
	return n
}
