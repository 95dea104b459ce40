package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// openers are the ways to a store elsewhere, by the scheme of its URL.
var openers struct {
	mu sync.RWMutex
	by map[string]Opener
}

// Opener opens the store that a URL names.
type Opener func(ctx context.Context, url string) (Store, error)

// Register says how URLs of a scheme are opened. A package that reaches stores
// elsewhere calls it when it is imported, so that only programs that want it
// link its client.
func Register(scheme string, open Opener) {
	openers.mu.Lock()
	defer openers.mu.Unlock()
	if openers.by == nil {
		openers.by = make(map[string]Opener)
	}
	if openers.by[scheme] != nil {
		panic("store: two packages register " + scheme + "://")
	}
	openers.by[scheme] = open
}

// Dial opens the store that a URL names, with what has registered its scheme.
// No error of its own shows the URL, which may hold a password.
func Dial(ctx context.Context, url string) (Store, error) {
	scheme, _, isURL := strings.Cut(url, "://")
	if !isURL {
		return nil, fmt.Errorf("open store: not a URL (want scheme://...)")
	}
	openers.mu.RLock()
	open := openers.by[scheme]
	known := slices.Sorted(maps.Keys(openers.by))
	openers.mu.RUnlock()
	switch {
	case open != nil:
		return open(ctx, url)
	case len(known) == 0:
		return nil, fmt.Errorf("open store at %s://: this program does not import prefork/ipc/redis", scheme)
	}
	return nil, fmt.Errorf("open store: unknown scheme %q (known: %s)", scheme, strings.Join(known, ", "))
}
