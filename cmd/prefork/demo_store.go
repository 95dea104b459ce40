package main

import (
	"context"
	"os"
	"strings"
	"sync"
	"time"

	"prefork/cmd/prefork/demo"
	"prefork/ipc"
	"prefork/ipc/store"
	"prefork/worker"
)

// demoStore gives the pool's store as the demo uses it. For a server it goes by
// the client that prefork store has: package redis, which a program of one's own
// imports, would make this binary a quarter larger.
func demoStore(w *worker.Worker) (demo.Store, error) {
	url := os.Getenv(ipc.EnvStore)
	if url == "" || strings.HasPrefix(url, "unix:") {
		return demo.Over(w.Store()), nil
	}
	d, err := parseStoreURL(url)
	if err != nil {
		return nil, err
	}
	return &demoServer{client: storeClient{dial: d.dial, prefix: d.prefix}}, nil
}

// demoServer is a store on a server. Any goroutine may use it; they take turns.
type demoServer struct {
	mu     sync.Mutex
	client storeClient // guarded by mu
}

func (s *demoServer) Get(key string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, found, err := s.client.Get(context.Background(), key)
	return e.Value, found, err
}

func (s *demoServer) Set(key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.client.Set(context.Background(), key, value, store.Write{TTL: ttl})
	return err
}

func (s *demoServer) Delete(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.client.Delete(context.Background(), key)
	return err
}

func (s *demoServer) Add(key string, delta int64) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client.Add(context.Background(), key, delta)
}
