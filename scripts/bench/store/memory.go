package main

import (
	"context"
	"fmt"
	"time"

	"prefork/ipc/store"
)

const sessionSize = 200

// large states what the largest value costs.
func large() error {
	s := store.Private(store.Config{Size: 64 << 20})
	ctx, value := context.Background(), make([]byte, store.MaxValue)
	const rounds = 50
	began := time.Now()
	for range rounds {
		if _, err := s.Set(ctx, "large", value, store.Write{TTL: time.Hour}); err != nil {
			return err
		}
	}
	set := time.Since(began) / rounds
	began = time.Now()
	for range rounds {
		if _, found, err := s.Get(ctx, "large"); err != nil || !found {
			return fmt.Errorf("get the large value: found %v, %w", found, err)
		}
	}
	get := time.Since(began) / rounds
	fmt.Printf("\na value of 1 MiB: set %v, get %v\n", set.Round(time.Microsecond), get.Round(time.Microsecond))
	return s.Close()
}

// memory states what a session takes.
func memory(sessions int) error {
	s := store.Private(store.Config{Size: int64(sessions)*1024 + 16<<20, Full: store.RefuseFull})
	ctx, value := context.Background(), make([]byte, sessionSize)
	for i := range sessions {
		// A key as package session has them: 43 characters.
		if _, err := s.Set(ctx, fmt.Sprintf("session/%035d", i), value, store.Write{TTL: time.Hour}); err != nil {
			return err
		}
	}
	stats, err := s.Stats(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d sessions of %d bytes: %d bytes a session in use\n", sessions, sessionSize, stats.UsedBytes/int64(sessions))
	return s.Close()
}
