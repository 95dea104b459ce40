package sockets_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"prefork/sockets"
)

func TestNetstatReadsACounter(t *testing.T) {
	const text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 0 17 18446744073709551615\nIpExt: InNoRoutes ListenOverflows\nIpExt: 0 3\n"
	for _, tt := range []struct {
		text, group, name string
		want              uint64
		err               string
	}{
		{text, "TcpExt", "ListenOverflows", 17, ""},
		{text, "TcpExt", "ListenDrops", 1<<64 - 1, ""},
		{text, "IpExt", "ListenOverflows", 3, ""},
		{text, "TcpExt", "None", 0, "TcpExt None: not there"},
		{text, "None", "ListenDrops", 0, "not there"},
		{"", "TcpExt", "ListenDrops", 0, "not there"},
		{"TcpExt: A B\nTcpExt: 1\n", "TcpExt", "B", 0, "not there"},
		{"TcpExt: A\nTcpExt: -1\n", "TcpExt", "A", 0, "TcpExt A: strconv"},
		{"TcpExt: A\n", "TcpExt", "A", 0, "not there"},
	} {
		got, err := sockets.Netstat(tt.text, tt.group, tt.name)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s %s: %d, %v, want %d, %q", tt.group, tt.name, got, err, tt.want, tt.err)
		}
	}
}

func TestUnixQueueIsFoundAmongAttributes(t *testing.T) {
	u16, u32 := binary.NativeEndian.AppendUint16, binary.NativeEndian.AppendUint32
	head := make([]byte, 16)
	name := append(u16(u16(nil, 7), 0), "abc\x00"...) // UNIX_DIAG_NAME of 3 bytes, padded
	rqlen := u32(u32(u16(u16(nil, 12), 4), 3), 128)
	for _, tt := range []struct {
		b              []byte
		queue, backlog int
		ok             bool
	}{
		{append(append(append([]byte{}, head...), name...), rqlen...), 3, 128, true},
		{append(append([]byte{}, head...), rqlen...), 3, 128, true},
		{append(append([]byte{}, head...), rqlen[:8]...), 0, 0, false},
		{append(append([]byte{}, head...), name...), 0, 0, false},
		{append(append([]byte{}, head...), u16(u16(nil, 0), 4)...), 0, 0, false},
		{append(append([]byte{}, head...), u32(u16(u16(nil, 8), 4), 3)...), 0, 0, false},
		{head, 0, 0, false},
		{head[:15], 0, 0, false},
		{nil, 0, 0, false},
	} {
		queue, backlog, err := sockets.ParseUnixQueue(tt.b)
		if queue != tt.queue || backlog != tt.backlog || (err == nil) != tt.ok {
			t.Errorf("%x: %d, %d, %v", tt.b, queue, backlog, err)
		}
	}
}

func TestHandshakeIsRead(t *testing.T) {
	b := make([]byte, 72)
	b[1] = 3
	b[4], b[5] = 0x1f, 0x90
	copy(b[8:], []byte{127, 0, 0, 1})
	state, port, local, err := sockets.ParseHandshake(b, true)
	if state != 3 || port != 8080 || local != "127.0.0.1" || err != nil {
		t.Errorf("%d %d %s %v", state, port, local, err)
	}
	copy(b[8:], append(make([]byte, 10), 0xff, 0xff, 127, 0, 0, 1))
	if _, _, local, _ := sockets.ParseHandshake(b, false); local != "127.0.0.1" {
		t.Errorf("mapped address is read as %s", local)
	}
	if _, _, _, err := sockets.ParseHandshake(b[:71], false); err == nil {
		t.Error("a message that is cut short is taken")
	}
}

// FuzzDiag: what the kernel, or who pretends to be it, answers never crashes.
func FuzzDiag(f *testing.F) {
	f.Add(make([]byte, 72))
	f.Add(append(make([]byte, 16), 12, 0, 4, 0, 1, 0, 0, 0, 2, 0, 0, 0))
	f.Add(append(make([]byte, 16), 0, 0, 4, 0))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, err := sockets.ParseUnixQueue(b); err == nil && len(b) < 28 {
			t.Errorf("a queue in %d bytes", len(b))
		}
		for _, v4 := range []bool{false, true} {
			if _, _, _, err := sockets.ParseHandshake(b, v4); (err == nil) != (len(b) >= 72) {
				t.Errorf("%d bytes: %v", len(b), err)
			}
		}
	})
}
