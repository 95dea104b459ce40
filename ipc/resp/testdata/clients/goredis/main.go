// Command goredis is go-redis against a store. See ../README.md.
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	phase := "all"
	if len(os.Args) > 2 {
		phase = os.Args[2]
	}
	ctx := context.Background()
	for _, protocol := range []int{2, 3} {
		r := redis.NewClient(&redis.Options{Network: "unix", Addr: os.Args[1], Protocol: protocol})
		run(ctx, r, phase)
		_ = r.Close()
	}
}

func expect(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		fmt.Fprintf(os.Stderr, "bad %s: %v, not %v\n", what, got, want)
		os.Exit(1)
	}
	fmt.Println("ok", what)
}

func run(ctx context.Context, r *redis.Client, phase string) {
	if phase != "read" {
		expect("set", r.Set(ctx, "goredis:login", "alice", time.Hour).Val(), "OK")
		expect("counter", r.Set(ctx, "goredis:n", 41, 0).Val(), "OK")
	}
	if phase != "write" {
		expect("get", r.Get(ctx, "goredis:login").Val(), "alice")
		expect("mget", r.MGet(ctx, "goredis:n", "goredis:none").Val(), []any{"41", nil})
	}
	if phase != "all" {
		return
	}
	expect("nil", r.Get(ctx, "goredis:none").Err(), error(redis.Nil))
	expect("setnx", r.SetNX(ctx, "goredis:login", "bob", time.Minute).Val(), false)
	expect("incr", r.Incr(ctx, "goredis:n").Val(), int64(42))
	expect("getex", r.GetEx(ctx, "goredis:login", time.Minute).Val(), "alice")
	expect("ttl", r.PTTL(ctx, "goredis:login").Val() <= time.Minute, true)
	expect("persist", r.Persist(ctx, "goredis:login").Val(), true)
	expect("no ttl", r.TTL(ctx, "goredis:login").Val(), time.Duration(-1))
	replies, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range 500 {
			p.IncrBy(ctx, "goredis:p", int64(i))
		}
		return nil
	})
	expect("pipeline", err, error(nil))
	expect("pipeline's replies", replies[499].(*redis.IntCmd).Val(), int64(499*500/2))
	var keys []string
	for it := r.Scan(ctx, 0, "goredis:*", 100).Iterator(); it.Next(ctx); {
		keys = append(keys, it.Val())
	}
	slices.Sort(keys)
	expect("scan", keys, []string{"goredis:login", "goredis:n", "goredis:p"})
	release := redis.NewScript(`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end`)
	expect("lock", r.SetNX(ctx, "goredis:lock", "me", time.Minute).Val(), true)
	expect("unlock of another's lock", release.Run(ctx, r, []string{"goredis:lock"}, "you").Val(), any(int64(0)))
	expect("unlock", release.Run(ctx, r, []string{"goredis:lock"}, "me").Val(), any(int64(1)))
	_, err = r.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, "goredis:x", 1, 0).Err() })
	expect("a transaction is refused", err != nil, true)
	expect("nothing of it was done", r.Exists(ctx, "goredis:x").Val(), int64(0))
	expect("delete", r.Del(ctx, keys...).Val(), int64(3))
}
