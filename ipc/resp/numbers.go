package resp

import "math"

// integer reads a number as strictly as Redis does: no sign but '-', no leading
// zero, no space.
func integer(b []byte) (n int64, ok bool) {
	negative := len(b) > 1 && b[0] == '-'
	digits := b
	if negative {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 19 {
		return 0, false
	}
	if digits[0] == '0' {
		return 0, len(b) == 1
	}
	var u uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		u = u*10 + uint64(c-'0') // 19 digits fit
	}
	switch {
	case negative && u <= 1<<63:
		return int64(-u), true
	case !negative && u <= math.MaxInt64:
		return int64(u), true
	}
	return 0, false
}

// integer reads an argument, and answers when it is none.
func (s *server) integer(b []byte) (n int64, ok bool) {
	if n, ok = integer(b); !ok {
		s.r.error(errNotInteger)
	}
	return n, ok
}
