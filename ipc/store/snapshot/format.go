package snapshot

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"prefork/ipc/store"
)

const (
	magic   = "prefork snapshot"
	version = 1

	headerLen = 36
	headLen   = 16 // of a record and of the end mark, up to its key or sum
	sumLen    = 4

	tagEntry = 'E'
	tagEnd   = 'Z'
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header gives the first 32 bytes of a file; their sum follows.
func header(written time.Time) []byte {
	b := append(make([]byte, 0, headerLen), magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, 0)
	return binary.LittleEndian.AppendUint64(b, uint64(written.UnixNano()))
}

// head is the fixed part of a record, or the end mark.
type head struct {
	tag        byte
	key, value int
	expiry     int64  // of a record: nanoseconds after the time of writing; 0: none
	count      uint64 // of the end mark
}

func (h head) append(b []byte) []byte {
	last := uint64(h.expiry)
	if h.tag == tagEnd {
		last = h.count
	}
	b = append(b, h.tag, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(h.key))
	b = binary.LittleEndian.AppendUint32(b, uint32(h.value))
	return binary.LittleEndian.AppendUint64(b, last)
}

// parseHead checks what must hold before anything is read by it.
func parseHead(b []byte) (head, error) {
	last := binary.LittleEndian.Uint64(b[8:])
	h := head{tag: b[0], key: int(binary.LittleEndian.Uint16(b[2:])), value: int(binary.LittleEndian.Uint32(b[4:]))}
	switch {
	case b[1] != 0:
		return h, fmt.Errorf("byte 0x%02x behind the tag (want 0x00)", b[1])
	case h.tag == tagEnd && (h.key != 0 || h.value != 0):
		return h, fmt.Errorf("end mark with lengths %d and %d", h.key, h.value)
	case h.tag == tagEnd:
		h.count = last
	case h.tag != tagEntry:
		return h, fmt.Errorf("tag 0x%02x (want 'E' or 'Z')", h.tag)
	case h.key > store.MaxKey:
		return h, fmt.Errorf("key of %d bytes (max %d)", h.key, store.MaxKey)
	case h.value > store.MaxValue:
		return h, fmt.Errorf("value of %d bytes (max %d)", h.value, store.MaxValue)
	case int64(last) < 0:
		return h, fmt.Errorf("expiry of %d ns", int64(last))
	default:
		h.expiry = int64(last)
	}
	return h, nil
}
