//go:build !linux

package resp

import (
	"context"
	"errors"
	"fmt"

	"prefork/ipc/store"
)

// Serve is for Linux.
func Serve(context.Context, int, store.Store, Options) error {
	return fmt.Errorf("serve the store: %w", errors.ErrUnsupported)
}
