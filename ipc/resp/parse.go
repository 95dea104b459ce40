package resp

import (
	"bytes"
	"math"
)

// malformed is input that is no command. Its text is Redis's; the connection
// ends with it.
type malformed string

func (m malformed) Error() string { return "Protocol error: " + string(m) }

// crossProtocol is the first line of a web browser's request.
const crossProtocol = malformed("a web browser's request")

// bounds are what a command may be.
type bounds struct {
	args, bulk int
	guest      bool // before authentication: the errors say so
	inline     bool
}

// span is where an argument stands in the text of its command.
type span struct{ from, to int32 }

// parser finds the commands in a stream of bytes. It keeps how far it came in
// a command that is not complete, so that no byte is looked at twice, and it
// keeps nothing for what was only announced. The zero value is at the start of
// a command.
type parser struct {
	at    int  // bytes of the command that are understood
	open  bool // the header is understood: left counts
	left  int  // arguments still to come
	bulk  int  // bytes of the argument that comes next, when sized
	sized bool
	spans []span
	words []byte // the arguments of an inline command, unquoted
	line  bool   // spans are of words
}

// next looks at a command from its first byte on: b is all that there is of it,
// and maybe of others behind it. When it is complete, its length is p.at, and
// its arguments are given by p.args; there may be none. Whatever the answer, b
// may have moved at the next call.
func (p *parser) next(b []byte, is *bounds) (complete bool, err error) {
	if !p.open {
		if len(b) == 0 {
			return false, nil
		}
		if b[0] != '*' {
			return p.inline(b, is)
		}
		n, end, err := length(b, 1, "too big mbulk count string", "invalid multibulk length")
		if end == 0 || err != nil {
			return false, err
		}
		if n > int64(is.args) {
			if is.guest {
				return false, malformed("unauthenticated multibulk length")
			}
			return false, malformed("invalid multibulk length")
		}
		p.open, p.at, p.left = true, end, int(max(n, 0))
	}
	for ; p.left > 0; p.left-- {
		if !p.sized {
			if p.at == len(b) {
				return false, nil
			}
			if c := b[p.at]; c != '$' {
				return false, malformed("expected '$', got '" + printable(c) + "'")
			}
			n, end, err := length(b, p.at+1, "too big bulk count string", "invalid bulk length")
			if end == 0 || err != nil {
				return false, err
			}
			switch {
			case n >= 0 && n <= int64(is.bulk):
			case n > 0 && is.guest:
				return false, malformed("unauthenticated bulk length")
			default:
				return false, malformed("invalid bulk length")
			}
			p.at, p.bulk, p.sized = end, int(n), true
		}
		end := p.at + p.bulk
		if len(b) < end+2 {
			return false, nil
		}
		if b[end] != '\r' || b[end+1] != '\n' {
			return false, malformed("invalid CRLF in request")
		}
		p.spans = append(p.spans, span{int32(p.at), int32(end)})
		p.at, p.sized = end+2, false
	}
	return true, nil
}

// begun says whether a part of a command was looked at.
func (p *parser) begun() bool { return p.open || p.at > 0 }

// args appends the arguments of a complete command, which are parts of b.
func (p *parser) args(b []byte, to [][]byte) [][]byte {
	if p.line {
		b = p.words
	}
	for _, s := range p.spans {
		to = append(to, b[s.from:s.to:s.to])
	}
	return to
}

// again puts the parser at the start of a command.
func (p *parser) again() {
	spans := p.spans[:0]
	if cap(spans) > 1024 {
		spans = nil
	}
	*p = parser{spans: spans}
}

// length reads a decimal number and its CRLF. end is 0 while they are not
// complete.
func length(b []byte, at int, long, wrong malformed) (n int64, end int, err error) {
	i, negative := at, false
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c >= '0' && c <= '9':
			if n > (math.MaxInt64-9)/10 || (n == 0 && i > at && b[i-1] == '0') {
				return 0, 0, wrong // Redis takes no leading zero either
			}
			n = n*10 + int64(c-'0')
		case c == '-' && i == at:
			negative = true
		case c == '\r':
			if i == at || (negative && (i == at+1 || n == 0)) {
				return 0, 0, wrong
			}
			if i+1 == len(b) {
				return 0, 0, nil
			}
			if b[i+1] != '\n' {
				return 0, 0, malformed("invalid CRLF in request")
			}
			if negative {
				n = -n
			}
			return n, i + 2, nil
		default:
			return 0, 0, wrong
		}
		if i-at > 32 {
			return 0, 0, long
		}
	}
	return 0, 0, nil
}

// inline looks at a line of words. An empty one is taken even where lines are
// not: clients send it to see whether somebody is there.
func (p *parser) inline(b []byte, is *bounds) (complete bool, err error) {
	if browser(b) {
		return false, crossProtocol
	}
	if !is.inline && b[0] != '\n' && (b[0] != '\r' || (len(b) > 1 && b[1] != '\n')) {
		if mayBrowse(b) {
			return false, nil
		}
		return false, malformed("expected '*', got '" + printable(b[0]) + "'")
	}
	end := len(b)
	i := bytes.IndexByte(b[p.at:], '\n')
	if i >= 0 {
		end = p.at + i
	}
	if end > maxLine || (is.guest && end > guestBulk) {
		return false, malformed("too big inline request")
	}
	if i < 0 {
		p.at = len(b)
		return false, nil
	}
	p.line, p.at = true, end+1
	line, _, _ := bytes.Cut(b[:end], []byte{0}) // Redis ends a line there
	if !p.split(bytes.TrimSuffix(line, []byte{'\r'})) {
		return false, malformed("unbalanced quotes in request")
	}
	return true, nil
}

// foreign are how the requests begin by which a web page would reach us.
var foreign = []string{"post ", "host:"}

// browser says whether the first line is a web browser's.
func browser(b []byte) bool {
	for _, f := range foreign {
		if len(b) >= len(f) && bytes.EqualFold(b[:len(f)], []byte(f)) {
			return true
		}
	}
	return false
}

// mayBrowse says whether the first line may still become a web browser's.
func mayBrowse(b []byte) bool {
	for _, f := range foreign {
		if len(b) < len(f) && bytes.EqualFold(b, []byte(f[:len(b)])) {
			return true
		}
	}
	return false
}

// printable is a byte that may stand in an error.
func printable(c byte) string {
	if c < ' ' || c > '~' {
		return " "
	}
	return string(rune(c))
}
