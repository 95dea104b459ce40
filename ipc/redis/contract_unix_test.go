//go:build unix

package redis_test

import (
	"fmt"
	"testing"
	"time"

	"prefork/ipc/store"
	"prefork/ipc/store/storetest"
)

// what a store in Redis does otherwise.
var features = storetest.Features{
	ValueVersions: true, EpochDelay: 100 * time.Millisecond, SameProcess: true, ServerCounters: true,
}

// contract runs the suite over one server, emptied before each test.
func contract(t *testing.T, url string, empty func()) {
	seen := make(map[*testing.T]bool)
	storetest.Run(t, func(t *testing.T) store.Store {
		if !seen[t] {
			seen[t] = true
			empty()
		}
		return open(t, url)
	}, features)
}

func TestSingleServerKeepsTheContract(t *testing.T) {
	s := startServer(t)
	contract(t, "unix://"+s.socket+"?poll=20ms", s.empty)
}

// The user has the rights that docs/reference/redis.md asks for, and no others.
func TestPrefixedStoreKeepsTheContractWithFewRights(t *testing.T) {
	s := startServer(t)
	s.cli("acl", "setuser", "app", "on", ">secret", "~a*", "~{a*", "+get", "+set", "+del", "+strlen", "+exists", "+pexpire", "+pttl",
		"+persist", "+incrby", "+scan", "+eval", "+evalsha", "+info", "+time", "+zadd", "+zrem", "+zscore", "+zcard", "+zrange", "+zremrangebyscore",
		"+hget", "+hset", "+hlen", "+hmget", "+hincrby", "+select")
	contract(t, fmt.Sprintf("redis://app:secret@%s/3?prefix=a*[b%%5D:&poll=20ms", s.addr()), s.empty)
}
