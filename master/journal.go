package master

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const journalSocket = "/run/systemd/journal/socket"

// journal speaks the journal's own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL),
// so that a worker's line carries its slot and its priority. It belongs to
// the output's goroutine.
type journal struct {
	fd int
}

// openJournal gives the journal if f is connected to it: JOURNAL_STREAM names
// the device and inode of the stream that systemd gave (systemd.exec(5)).
func openJournal(f *os.File) *journal {
	var dev, ino uint64
	if _, err := fmt.Sscanf(os.Getenv("JOURNAL_STREAM"), "%d:%d", &dev, &ino); err != nil {
		return nil
	}
	st, err := f.Stat()
	if err != nil {
		return nil
	}
	if sys := st.Sys().(*syscall.Stat_t); sys.Dev != dev || sys.Ino != ino {
		return nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	return &journal{fd}
}

// lines sends each line as a datagram of its own, and gives how many bytes of
// the text the journal did not take.
func (j *journal) lines(slot int, text []byte) (dropped int) {
	for line := range bytes.Lines(text) {
		size := len(line)
		line = bytes.TrimRight(line, "\n")
		priority, line := linePriority(line)
		var msg bytes.Buffer
		msg.WriteString("PRIORITY=" + strconv.Itoa(priority) + "\nPREFORK_SLOT=" + strconv.Itoa(slot) + "\nSYSLOG_IDENTIFIER=prefork\nMESSAGE\n")
		_ = binary.Write(&msg, binary.LittleEndian, uint64(len(line)))
		msg.Write(line)
		msg.WriteByte('\n')
		if err := unix.Sendto(j.fd, msg.Bytes(), unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: journalSocket}); err != nil {
			dropped += size
		}
	}
	return dropped
}

// linePriority takes the prefix of sd-daemon(3), "<3>", off a line; without
// one the priority is info, 6.
func linePriority(line []byte) (int, []byte) {
	if len(line) >= 3 && line[0] == '<' && line[2] == '>' && line[1] >= '0' && line[1] <= '7' {
		return int(line[1] - '0'), line[3:]
	}
	return 6, line
}
