package snapshot

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// reader reads records and verifies each of them: what it gives has a sum that
// is right.
type reader struct {
	r       *bufio.Reader
	offset  int64 // of the next byte
	sum     uint32
	written time.Time
	count   uint64 // records so far
	head    [headerLen]byte
}

// record is an entry as it stands in the file.
type record struct {
	offset int64
	key    string
	value  []byte // of its own: a store may keep it
	expiry time.Duration
}

// left gives how long the entry still lives, and whether it does; 0 and true:
// for ever.
func (c *record) left(age time.Duration) (time.Duration, bool) {
	if c.expiry == 0 {
		return 0, true
	}
	return c.expiry - age, c.expiry > age
}

// open reads the header.
func open(r io.Reader) (*reader, error) {
	o := &reader{r: bufio.NewReaderSize(r, buffer)}
	b := o.head[:headerLen-sumLen]
	n, err := io.ReadFull(o.r, b)
	if !bytes.HasPrefix(b, []byte(magic)) && n >= len(magic) {
		return nil, &Damage{0, fmt.Errorf("begins with %q, which no snapshot does", b[:len(magic)])}
	}
	if err != nil {
		return nil, broken(0, err)
	}
	if err := o.check(0, b); err != nil {
		return nil, err
	}
	if v := binary.LittleEndian.Uint32(b[16:]); v != version {
		return nil, fmt.Errorf("%w: %d (want %d)", ErrVersion, v, version)
	}
	o.written = time.Unix(0, int64(binary.LittleEndian.Uint64(b[24:])))
	o.offset = headerLen
	return o, nil
}

// age gives how long ago the snapshot was written.
func (o *reader) age(now time.Time) time.Duration { return max(0, now.Sub(o.written)) }

// next gives the next record, and io.EOF behind an end mark that is right and
// followed by nothing. The memory it takes is bounded before it is taken.
func (o *reader) next() (*record, error) {
	at := o.offset
	b := o.head[:headLen]
	if _, err := io.ReadFull(o.r, b); err != nil {
		return nil, broken(at, err)
	}
	h, err := parseHead(b)
	if err != nil {
		return nil, &Damage{at, err}
	}
	if h.tag == tagEnd {
		return nil, o.end(at, b, h)
	}
	rest := make([]byte, h.key+h.value)
	if _, err := io.ReadFull(o.r, rest); err != nil {
		return nil, broken(at, err)
	}
	if err := o.check(at, b, rest); err != nil {
		return nil, err
	}
	o.offset += int64(headLen + len(rest) + sumLen)
	o.count++
	return &record{at, string(rest[:h.key]), rest[h.key:], time.Duration(h.expiry)}, nil
}

func (o *reader) end(at int64, b []byte, h head) error {
	if err := o.check(at, b); err != nil {
		return err
	}
	if h.count != o.count {
		return &Damage{at, fmt.Errorf("end mark for %d records behind %d", h.count, o.count)}
	}
	o.offset += headLen + sumLen
	switch _, err := o.r.ReadByte(); err {
	case io.EOF:
		return io.EOF
	case nil:
		return &Damage{o.offset, fmt.Errorf("data behind the end mark")}
	default:
		return broken(o.offset, err)
	}
}

// check adds parts to the sum and compares it with the one that follows.
func (o *reader) check(at int64, parts ...[]byte) error {
	for _, p := range parts {
		o.sum = crc32.Update(o.sum, castagnoli, p)
	}
	var b [sumLen]byte
	if _, err := io.ReadFull(o.r, b[:]); err != nil {
		return broken(at, err)
	}
	if sum := binary.LittleEndian.Uint32(b[:]); sum != o.sum {
		return &Damage{at, fmt.Errorf("sum %08x, want %08x", sum, o.sum)}
	}
	return nil
}

// Info is what a snapshot holds.
type Info struct {
	Written time.Time
	Entries int   // records
	Expired int   // of them: those whose time is over now
	Bytes   int64 // keys and values of all records
}

// Check verifies a snapshot: it reads all of r, and what is behind the end mark
// is damage.
func Check(ctx context.Context, r io.Reader) (Info, error) {
	i, err := check(ctx, r, time.Now())
	if err != nil {
		return i, fmt.Errorf("check snapshot: %w", err)
	}
	return i, nil
}

func check(ctx context.Context, r io.Reader, now time.Time) (Info, error) {
	o, err := open(r)
	if err != nil {
		return Info{}, err
	}
	i := Info{Written: o.written}
	for {
		if err := ctx.Err(); err != nil {
			return i, err
		}
		c, err := o.next()
		switch {
		case err == io.EOF:
			return i, nil
		case err != nil:
			return i, err
		}
		i.Entries++
		i.Bytes += int64(len(c.key) + len(c.value))
		if _, lives := c.left(o.age(now)); !lives {
			i.Expired++
		}
	}
}
