package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bounds of an answer, in bytes.
const (
	maxHead  = 64 << 10
	maxLine  = 4 << 10 // a chunk's size with its extensions, a trailer
	maxChunk = 1 << 40

	maxWorker = 64 // of the name of the worker that is kept
)

// answer reads one HTTP/1.x response, in pieces of any size. begin makes it
// ready for the next one.
type answer struct {
	workerHeader string // lower case
	want         string // expected body, "" any

	state  answerState
	head   []byte // status line and headers, then each line of the chunked coding
	left   int64  // bytes of the body or of the chunk still to come
	seen   int    // bytes of the body that came
	differ bool   // the body is not the wanted one

	started bool // a byte has come
	status  int
	close   bool // the connection is at its end after this answer
	worker  []byte
}

type answerState int

const (
	inHead answerState = iota
	inBody
	inBodyToEOF
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	inDone
)

func (a *answer) begin() {
	a.state, a.head, a.left, a.seen = inHead, a.head[:0], 0, 0
	a.differ, a.started, a.status, a.close, a.worker = false, false, 0, false, a.worker[:0]
}

// done says whether the answer is complete.
func (a *answer) done() bool { return a.state == inDone }

// feed reads what came. An error says that this is no HTTP.
func (a *answer) feed(data []byte) error {
	for len(data) > 0 {
		a.started = true
		switch a.state {
		case inHead:
			n, found := a.collect(data, "\r\n\r\n", maxHead)
			data = data[n:]
			if !found {
				if len(a.head) >= maxHead {
					return fmt.Errorf("headers of more than %d bytes", maxHead)
				}
				return nil
			}
			if err := a.parseHead(); err != nil {
				return err
			}
			a.head = a.head[:0]
		case inBody, inChunk:
			n := int(min(int64(len(data)), a.left))
			a.body(data[:n])
			data = data[n:]
			if a.left -= int64(n); a.left > 0 {
				return nil
			}
			if a.state == inBody {
				a.state = inDone
			} else {
				a.state = inChunkEnd
			}
		case inBodyToEOF:
			a.body(data)
			return nil
		case inChunkSize, inChunkEnd, inTrailer:
			n, found := a.collect(data, "\r\n", maxLine)
			data = data[n:]
			if !found {
				if len(a.head) >= maxLine {
					return fmt.Errorf("line of more than %d bytes in a chunked body", maxLine)
				}
				return nil
			}
			if err := a.chunkLine(strings.TrimSuffix(string(a.head), "\r\n")); err != nil {
				return err
			}
			a.head = a.head[:0]
		case inDone:
			return fmt.Errorf("%d bytes after the answer", len(data))
		}
	}
	return nil
}

// eof takes the end of the connection. An error says that more was to come.
func (a *answer) eof() error {
	switch a.state {
	case inBodyToEOF:
		a.state = inDone
		return nil
	case inDone:
		return nil
	}
	return fmt.Errorf("%d bytes of the body came", a.seen)
}

// collect moves bytes to head until it ends with end, and says how many it
// took.
func (a *answer) collect(data []byte, end string, most int) (n int, found bool) {
	from := max(0, len(a.head)-len(end)+1)
	had := len(a.head)
	a.head = append(a.head, data[:min(len(data), most)]...)
	if i := bytes.Index(a.head[from:], []byte(end)); i >= 0 {
		a.head = a.head[:from+i+len(end)]
		return len(a.head) - had, true
	}
	return len(a.head) - had, false
}

func (a *answer) body(data []byte) {
	if a.want != "" && !a.differ {
		rest := a.want[min(a.seen, len(a.want)):]
		a.differ = !strings.HasPrefix(rest, string(data))
	}
	a.seen += len(data)
}

// good says whether status and body are what was wanted; only for one that is
// done.
func (a *answer) good() error {
	switch {
	case a.status != 200:
		return fmt.Errorf("status %d", a.status)
	case a.want != "" && (a.differ || a.seen != len(a.want)):
		return errors.New("another body than was wanted")
	}
	return nil
}

func (a *answer) parseHead() error {
	line, rest, _ := bytes.Cut(a.head, []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return fmt.Errorf("status line %.40q", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil || status < 100 {
		return fmt.Errorf("status line %.40q", line)
	}
	if status < 200 && status != 101 {
		return nil // an interim answer: the head of the real one follows
	}
	a.status = status
	a.close = line[7] == '0'
	length, chunked := int64(-1), false
	for line := range bytes.SplitSeq(rest, []byte("\r\n")) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		value = bytes.TrimSpace(value)
		switch {
		case equalFold(name, "content-length"):
			n, err := strconv.ParseUint(string(value), 10, 62)
			if err != nil || length >= 0 && length != int64(n) {
				return fmt.Errorf("content length %.40q", value)
			}
			length = int64(n)
		case equalFold(name, "transfer-encoding"):
			if !equalFold(value, "chunked") {
				return fmt.Errorf("transfer encoding %.40q", value)
			}
			chunked = true
		case equalFold(name, "connection"):
			a.connection(string(value))
		case equalFold(name, a.workerHeader):
			a.worker = append(a.worker[:0], value[:min(len(value), maxWorker)]...)
		}
	}
	switch {
	case status == 204 || status == 304:
		a.state = inDone
	case chunked:
		a.state = inChunkSize
	case length == 0:
		a.state = inDone
	case length > 0:
		a.state, a.left = inBody, length
	default:
		a.state, a.close = inBodyToEOF, true
	}
	return nil
}

func (a *answer) connection(value string) {
	for token := range strings.SplitSeq(value, ",") {
		switch strings.ToLower(strings.TrimSpace(token)) {
		case "close":
			a.close = true
		case "keep-alive":
			a.close = false
		}
	}
}

func equalFold(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// chunkLine takes one line of the chunked coding.
func (a *answer) chunkLine(line string) error {
	switch a.state {
	case inChunkSize:
		digits, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 62)
		if err != nil || n > maxChunk {
			return fmt.Errorf("chunk size %.40q", line)
		}
		a.state, a.left = inChunk, int64(n)
		if n == 0 {
			a.state = inTrailer
		}
	case inChunkEnd:
		if line != "" {
			return fmt.Errorf("chunk ends with %.40q", line)
		}
		a.state = inChunkSize
	case inTrailer:
		if line == "" {
			a.state = inDone
		}
	}
	return nil
}
