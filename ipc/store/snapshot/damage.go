package snapshot

import (
	"errors"
	"fmt"
	"io"
)

// Errors that a caller can act on. They come wrapped.
var (
	// ErrDamaged: what was read is no snapshot, or not the whole of one, or
	// was changed. The error is a Damage too, which says where and why.
	ErrDamaged = errors.New("snapshot: damaged")

	// ErrVersion: a snapshot in a format that this package does not know.
	ErrVersion = errors.New("snapshot: unknown version")
)

// Damage is an ErrDamaged with the place.
type Damage struct {
	Offset int64 // bytes from the begin: of the record that does not verify
	Cause  error
}

func (d *Damage) Error() string {
	return fmt.Sprintf("damaged at byte %d: %v", d.Offset, d.Cause)
}

// Unwrap gives ErrDamaged and the cause.
func (d *Damage) Unwrap() []error { return []error{ErrDamaged, d.Cause} }

// broken makes an error of a read: an end that comes too soon is damage,
// anything else is the trouble of the reader itself.
func broken(offset int64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Damage{offset, io.ErrUnexpectedEOF}
	}
	return fmt.Errorf("read at byte %d: %w", offset, err)
}
