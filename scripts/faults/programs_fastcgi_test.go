//go:build faults

package faults

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// The record types that a responder needs: FastCGI 1.0, 8.
const (
	fcgiBegin  = 1
	fcgiEnd    = 3
	fcgiParams = 4
	fcgiStdin  = 5
	fcgiStdout = 6
	fcgiStderr = 7
)

// askFastCGI runs a script by one request on a connection of its own, and
// gives the number that it prints.
func askFastCGI(conn net.Conn, script string) (int, error) {
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		return 0, err
	}
	var params []byte
	for _, p := range [][2]string{
		{"SCRIPT_FILENAME", script}, {"REQUEST_METHOD", "GET"}, {"REDIRECT_STATUS", "200"}, {"SERVER_PROTOCOL", "HTTP/1.0"},
	} {
		// Both lengths in four bytes with the high bit set: 3.4.
		params = binary.BigEndian.AppendUint32(params, uint32(len(p[0]))|1<<31)
		params = binary.BigEndian.AppendUint32(params, uint32(len(p[1]))|1<<31)
		params = append(params, p[0]+p[1]...)
	}
	request := record(fcgiBegin, []byte{0, 1, 0, 0, 0, 0, 0, 0}) // responder, the connection is closed behind it
	request = append(request, record(fcgiParams, params)...)
	request = append(request, record(fcgiParams, nil)...)
	request = append(request, record(fcgiStdin, nil)...)
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	var out, errs strings.Builder
	for {
		var head [8]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return 0, fmt.Errorf("read record: %w (so far %q %q)", err, out.String(), errs.String())
		}
		length, padding := int(binary.BigEndian.Uint16(head[4:])), int(head[6])
		body := make([]byte, length+padding)
		if _, err := io.ReadFull(conn, body); err != nil {
			return 0, fmt.Errorf("read record: %w", err)
		}
		switch head[1] {
		case fcgiStdout:
			out.Write(body[:length])
		case fcgiStderr:
			errs.Write(body[:length])
		case fcgiEnd:
			_, text, ok := strings.Cut(out.String(), "\r\n\r\n")
			if !ok || errs.Len() > 0 {
				return 0, fmt.Errorf("answered %q, on stderr %q", out.String(), errs.String())
			}
			return strconv.Atoi(strings.TrimSpace(text))
		}
	}
}

func record(kind byte, content []byte) []byte {
	head := []byte{1, kind, 0, 1, byte(len(content) >> 8), byte(len(content)), 0, 0}
	return append(head, content...)
}
