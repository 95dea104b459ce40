package sockets

import "testing"

func TestEntryIsReadFromFdinfo(t *testing.T) {
	fd, events, data, ok := parseEntry("tfd:        8 events: 8000201d data: 3fadf442a0000003  pos:0 ino:ae600 sdev:9")
	if !ok || fd != 8 || events != 0x8000201d || data != 0x3fadf442a0000003 {
		t.Errorf("got %d %#x %#x %v", fd, events, data, ok)
	}
	for _, line := range []string{"", "pos:\t0", "flags:\t02000002", "tfd: x events: 1 data: 1", "tfd: 1 events: 1 data:", "tfd: -1 events: 1 data: 1"} {
		if _, _, _, ok := parseEntry(line); ok {
			t.Errorf("%q was taken for an entry", line)
		}
	}
}

func FuzzParseEntry(f *testing.F) {
	f.Add("tfd:        8 events: 8000201d data: 3fadf442a0000003  pos:0 ino:ae600 sdev:9")
	f.Add("tfd:")
	f.Fuzz(func(t *testing.T, line string) {
		if fd, _, _, ok := parseEntry(line); ok && fd < 0 {
			t.Errorf("%q is descriptor %d", line, fd)
		}
	})
}
