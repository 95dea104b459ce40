//go:build unix

package redis_test

import (
	"fmt"
	"testing"
	"time"

	"prefork/ipc/store"
)

// What docs/reference/redis.md says about costs.
func BenchmarkOverAUnixSocket(b *testing.B) {
	server := startServer(b)
	s := open(b, "unix://"+server.socket)
	for _, size := range []int{256, 16 << 10, 1 << 20} {
		value := make([]byte, size)
		key := fmt.Sprint(size)
		_, err := s.Set(ctx, key, value, store.Write{TTL: time.Hour})
		must(b, err)
		b.Run(fmt.Sprint("get", size), func(b *testing.B) {
			for range b.N {
				_, _, err := s.Get(ctx, key)
				must(b, err)
			}
		})
		b.Run(fmt.Sprint("set", size), func(b *testing.B) {
			for range b.N {
				_, err := s.Set(ctx, key, value, store.Write{TTL: time.Hour})
				must(b, err)
			}
		})
		b.Run(fmt.Sprint("swap", size), func(b *testing.B) {
			e, _, err := s.Get(ctx, key)
			must(b, err)
			for range b.N {
				e.Version, err = s.Set(ctx, key, value, store.Write{TTL: time.Hour, If: store.IfVersion, Version: e.Version})
				must(b, err)
			}
		})
	}
	b.Run("lock", func(b *testing.B) {
		for range b.N {
			t, err := s.Lock(ctx, "l", 0)
			must(b, err)
			must(b, s.Unlock(ctx, t))
		}
	})
	e, err := s.Epoch(ctx, "e")
	must(b, err)
	b.Run("epoch", func(b *testing.B) {
		for range b.N {
			if e.Load() != 0 {
				b.Fatal("bumped")
			}
		}
	})
}
