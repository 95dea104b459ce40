package snapshot_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"prefork/ipc/store"
	"prefork/ipc/store/snapshot"
)

// FuzzLoad reads anything. What is refused has set nothing; what is taken is
// the same when it is written and read again. A fuzzer does not guess sums, so
// the input is taken as records without sums as well.
func FuzzLoad(f *testing.F) {
	whole := written(f, filled(f, 5))
	f.Add(whole)
	f.Add(whole[:len(whole)-20])
	f.Add(written(f, empty()))
	f.Add(seal(header(1), record('E', 0, 1, 1<<20, 0, 'k')))
	f.Add(seal(header(1), record('E', 0, 3, 2, 1<<62, []byte("keyva")...), record('Z', 0, 0, 0, 1)))
	f.Add(bytes.Join([][]byte{header(1), record('E', 0, 1, 1, 9, 'k', 'v'), record('Z', 0, 0, 0, 1)}, nil))
	f.Add(seal(header(9)))
	f.Fuzz(func(t *testing.T, file []byte) {
		once(t, file)
		once(t, sealed(file))
	})
}

// sealed takes a text for a snapshot without sums, and adds them.
func sealed(text []byte) []byte {
	parts := [][]byte{}
	for n := min(len(text), 32); n > 0; {
		parts = append(parts, text[:n])
		if text = text[n:]; len(text) < 16 {
			break
		}
		n = 16 + int(text[2]) + int(text[3])<<8 + int(text[4]) + int(text[5])<<8
		n = min(n, len(text))
	}
	return seal(parts...)
}

func once(t *testing.T, file []byte) {
	s := store.Private(store.Config{Size: 2 << 20})
	n, err := snapshot.ReadAt(ctx, bytes.NewReader(file), s, func() time.Time { return time.Unix(0, 0) })
	if err != nil {
		if !errors.Is(err, snapshot.ErrDamaged) && !errors.Is(err, snapshot.ErrVersion) || n != 0 {
			t.Fatalf("%d entries, %v", n, err)
		}
		if st, err := s.Stats(ctx); err != nil || st.Sets != 0 {
			t.Fatalf("refused after %d sets, %v", st.Sets, err)
		}
		return
	}
	if again := written(t, s); n > 0 && len(again) > len(file) {
		t.Fatalf("%d bytes came back as %d", len(file), len(again))
	}
}
