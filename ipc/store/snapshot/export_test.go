package snapshot

import (
	"context"
	"io"
	"time"
)

// WriteAt is Write by another clock.
func WriteAt(ctx context.Context, w io.Writer, s Source, now func() time.Time) (int, error) {
	return write(ctx, w, s, now)
}

// ReadAt is Read of a seekable reader by another clock.
func ReadAt(ctx context.Context, r io.ReadSeeker, s Target, now func() time.Time) (int, error) {
	return apply(ctx, r, s, now)
}
