package demo

import (
	"context"
	"time"

	"prefork/ipc/store"
)

// Over is the pool's store as the demo uses it.
func Over(s store.Store) Store { return over{s} }

type over struct{ s store.Store }

func (o over) Get(key string) (value []byte, found bool, err error) {
	e, found, err := o.s.Get(context.Background(), key)
	return e.Value, found, err
}

func (o over) Set(key string, value []byte, ttl time.Duration) error {
	_, err := o.s.Set(context.Background(), key, value, store.Write{TTL: ttl})
	return err
}

func (o over) Delete(key string) error {
	_, err := o.s.Delete(context.Background(), key, 0)
	return err
}

func (o over) Add(key string, delta int64) (int64, error) {
	return o.s.Add(context.Background(), key, delta)
}
