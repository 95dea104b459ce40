package snapshot_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"testing"

	"prefork/ipc/store"
	"prefork/ipc/store/snapshot"
)

// refused loads a file that is not to be loaded.
func refused(t *testing.T, what string, file []byte) snapshot.Damage {
	t.Helper()
	s := empty()
	n, err := snapshot.Read(ctx, bytes.NewReader(file), s)
	d, ok := errors.AsType[*snapshot.Damage](err)
	if n != 0 || !ok || !errors.Is(err, snapshot.ErrDamaged) || d.Offset < 0 || d.Offset > int64(len(file)) {
		t.Fatalf("%s: %d entries, %v", what, n, err)
	}
	if st, err := s.Stats(ctx); err != nil || st.Sets != 0 {
		t.Fatalf("%s: %d sets, %v", what, st.Sets, err)
	}
	return *d
}

func TestFileCutAtAnyByteIsRefused(t *testing.T) {
	file := written(t, filled(t, 8))
	for n := range file {
		if d := refused(t, "cut", file[:n]); n > 0 && n < 16 && d.Offset != 0 {
			t.Errorf("cut at %d: %v", n, d)
		}
	}
	refused(t, "one byte more", append(bytes.Clone(file), 0))
	refused(t, "twice", append(bytes.Clone(file), file...))
}

func TestAnyFlippedBitIsFound(t *testing.T) {
	file := written(t, filled(t, 6))
	for i := range file {
		for bit := range 8 {
			bad := bytes.Clone(file)
			bad[i] ^= 1 << bit
			refused(t, "flipped", bad)
		}
	}
}

// records cuts a file into its records.
func records(file []byte) (head []byte, list [][]byte, end []byte) {
	head, rest := file[:36], file[36:]
	for rest[0] == 'E' {
		n := 16 + int(binary.LittleEndian.Uint16(rest[2:])) + int(binary.LittleEndian.Uint32(rest[4:])) + 4
		list, rest = append(list, rest[:n]), rest[n:]
	}
	return head, list, rest
}

func TestRecordThatIsMissingOrElsewhereIsFound(t *testing.T) {
	head, list, end := records(written(t, filled(t, 4)))
	join := func(order ...int) []byte {
		parts := [][]byte{head}
		for _, i := range order {
			parts = append(parts, list[i])
		}
		return bytes.Join(append(parts, end), nil)
	}
	if n, err := snapshot.Read(ctx, bytes.NewReader(join(0, 1, 2, 3)), empty()); n != 4 || err != nil {
		t.Fatalf("%d entries, %v", n, err)
	}
	for _, order := range [][]int{{0, 1, 2}, {1, 2, 3}, {0, 1, 3}, {1, 0, 2, 3}, {0, 1, 2, 3, 3}, {}} {
		d := refused(t, "order", join(order...))
		t.Log(order, d)
	}
}

// seal writes the sums of a file that was put together by hand.
func seal(parts ...[]byte) []byte {
	var file []byte
	sum := uint32(0)
	for _, p := range parts {
		sum = crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), p)
		file = binary.LittleEndian.AppendUint32(append(file, p...), sum)
	}
	return file
}

// record makes a record without its sum.
func record(tag, zero byte, key int, value uint32, last uint64, rest ...byte) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{tag, zero}, uint16(key))
	b = binary.LittleEndian.AppendUint32(b, value)
	return append(binary.LittleEndian.AppendUint64(b, last), rest...)
}

func header(version uint32) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("prefork snapshot"), version)
	return append(b, make([]byte, 12)...)
}

// A file whose sums are right was written by somebody: what it says is checked
// all the same.
func TestSumsThatAreRightDoNotMakeASnapshot(t *testing.T) {
	one := record('E', 0, 1, 1, 0, 'k', 'v')
	good := seal(header(1), one, record('Z', 0, 0, 0, 1))
	if n, err := snapshot.Read(ctx, bytes.NewReader(good), empty()); n != 1 || err != nil {
		t.Fatalf("%d entries, %v", n, err)
	}
	for name, file := range map[string][]byte{
		"tag":            seal(header(1), record('F', 0, 1, 1, 0, 'k', 'v'), record('Z', 0, 0, 0, 1)),
		"second byte":    seal(header(1), record('E', 1, 1, 1, 0, 'k', 'v'), record('Z', 0, 0, 0, 1)),
		"key too long":   seal(header(1), record('E', 0, store.MaxKey+1, 0, 0, make([]byte, store.MaxKey+1)...), record('Z', 0, 0, 0, 1)),
		"value too long": seal(header(1), record('E', 0, 0, store.MaxValue+1, 0, make([]byte, store.MaxValue+1)...), record('Z', 0, 0, 0, 1)),
		"value of 4 GiB": seal(header(1), record('E', 0, 0, 1<<32-1, 0)),
		"expiry":         seal(header(1), record('E', 0, 1, 1, 1<<63, 'k', 'v'), record('Z', 0, 0, 0, 1)),
		"count too low":  seal(header(1), one, record('Z', 0, 0, 0, 0)),
		"count too high": seal(header(1), one, record('Z', 0, 0, 0, 2)),
		"end with key":   seal(header(1), record('Z', 0, 1, 0, 0, 'k')),
		"no end":         seal(header(1), one),
		"something else": []byte("REDIS0011 and more of it, as much as a header has"),
		"nothing":        nil,
	} {
		t.Log(name+":", refused(t, name, file))
	}
}

func TestUnknownVersionIsNotDamage(t *testing.T) {
	s := empty()
	n, err := snapshot.Read(ctx, bytes.NewReader(seal(header(2), record('Z', 0, 0, 0, 0))), s)
	if n != 0 || !errors.Is(err, snapshot.ErrVersion) || errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("%d entries, %v", n, err)
	}
}

func TestReaderInTroubleIsNotDamage(t *testing.T) {
	file := written(t, filled(t, 3))
	trouble := errors.New("trouble")
	for n := range file {
		_, err := snapshot.Check(ctx, io.MultiReader(bytes.NewReader(file[:n]), failing{trouble}))
		if !errors.Is(err, trouble) || errors.Is(err, snapshot.ErrDamaged) {
			t.Fatalf("at byte %d: %v", n, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
