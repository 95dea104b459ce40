package resp

import (
	"slices"
	"strconv"
)

// reply collects the answers of one turn. RESP3 has types that RESP2 writes as
// something else; three says which a client wants.
type reply struct {
	b     []byte
	three bool
}

func (r *reply) head(kind byte, n int) {
	r.b = append(r.b, kind)
	r.b = strconv.AppendInt(r.b, int64(n), 10)
	r.b = append(r.b, '\r', '\n')
}

// simple writes a text without CR and LF.
func (r *reply) simple(text string) {
	r.b = append(r.b, '+')
	r.b = append(r.b, text...)
	r.b = append(r.b, '\r', '\n')
}

// error writes an error; its first word is the code. A line break in it is
// written as a space, as Redis does.
func (r *reply) error(text string) {
	r.b = append(r.b, '-')
	for i := range len(text) {
		c := text[i]
		if c == '\r' || c == '\n' {
			c = ' '
		}
		r.b = append(r.b, c)
	}
	r.b = append(r.b, '\r', '\n')
}

func (r *reply) int(n int64) {
	r.b = append(r.b, ':')
	r.b = strconv.AppendInt(r.b, n, 10)
	r.b = append(r.b, '\r', '\n')
}

func (r *reply) bulk(value []byte) {
	b := slices.Grow(r.b, len(value)+32) // what stands around it is shorter
	b = append(b, '$')
	b = strconv.AppendInt(b, int64(len(value)), 10)
	b = append(b, '\r', '\n')
	b = append(b, value...)
	r.b = append(b, '\r', '\n')
}

func (r *reply) text(value string) {
	r.head('$', len(value))
	r.b = append(r.b, value...)
	r.b = append(r.b, '\r', '\n')
}

// verbatim writes a text that a person reads.
func (r *reply) verbatim(value string) {
	if !r.three {
		r.text(value)
		return
	}
	r.head('=', len(value)+4)
	r.b = append(r.b, "txt:"...)
	r.b = append(r.b, value...)
	r.b = append(r.b, '\r', '\n')
}

func (r *reply) null() {
	if r.three {
		r.b = append(r.b, "_\r\n"...)
	} else {
		r.b = append(r.b, "$-1\r\n"...)
	}
}

func (r *reply) array(n int) { r.head('*', n) }

// pairs begins a map of n pairs.
func (r *reply) pairs(n int) {
	if r.three {
		r.head('%', n)
	} else {
		r.head('*', 2*n)
	}
}

// set begins a set of n members.
func (r *reply) set(n int) {
	if r.three {
		r.head('~', n)
	} else {
		r.head('*', n)
	}
}

func (r *reply) ok() { r.b = append(r.b, "+OK\r\n"...) }
