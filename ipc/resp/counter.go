package resp

import (
	"bytes"
	"math"
	"math/big"

	"prefork/ipc/store"
)

func (s *server) incr(_ *client, a [][]byte) { s.add(a[1], 1) }
func (s *server) decr(_ *client, a [][]byte) { s.add(a[1], -1) }

func (s *server) incrby(_ *client, a [][]byte) {
	if n, ok := s.integer(a[2]); ok {
		s.add(a[1], n)
	}
}

func (s *server) decrby(_ *client, a [][]byte) {
	n, ok := s.integer(a[2])
	if !ok {
		return
	}
	if n == math.MinInt64 {
		s.r.error("ERR decrement would overflow")
		return
	}
	s.add(a[1], -n)
}

func (s *server) add(key []byte, delta int64) {
	if !s.keyFits(key) {
		return
	}
	sum, err := s.store.Add(s.ctx, s.key(key), delta)
	if err != nil {
		s.failed(err)
		return
	}
	s.r.int(sum)
}

// incrbyfloat adds as Redis does on x86: with the 64 bits of mantissa of a long
// double, written with at most 17 digits behind the point.
func (s *server) incrbyfloat(_ *client, a [][]byte) {
	delta, ok := longDouble(a[2])
	if !ok {
		s.r.error("ERR value is not a valid float")
		return
	}
	var text []byte
	if s.change(a[1], func(e store.Entry, found bool) ([]byte, store.Write, bool) {
		sum := new(big.Float).SetPrec(64)
		if found {
			if sum, ok = longDouble(e.Value); !ok {
				s.r.error("ERR value is not a valid float")
				return nil, store.Write{}, false
			}
		}
		sum.Add(sum, delta)
		if sum.IsInf() || sum.MantExp(nil) > maxExponent {
			s.r.error("ERR increment would produce NaN or Infinity")
			return nil, store.Write{}, false
		}
		text = sum.Append(text[:0], 'f', 17)
		if bytes.IndexByte(text, '.') >= 0 {
			text = bytes.TrimSuffix(bytes.TrimRight(text, "0"), []byte{'.'})
		}
		if string(text) == "-0" {
			text = text[1:]
		}
		return text, store.Write{KeepTTL: true}, true
	}) {
		s.r.bulk(text)
	}
}

// maxExponent is the binary exponent of the greatest long double.
const maxExponent = 16384

// longDouble reads a decimal number.
func longDouble(b []byte) (f *big.Float, ok bool) {
	if len(b) == 0 || len(b) > 5*1024 { // MAX_LONG_DOUBLE_CHARS of Redis's util.h
		return nil, false
	}
	for _, c := range b {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return nil, false
		}
	}
	f, _, err := big.ParseFloat(string(b), 10, 64, big.ToNearestEven)
	if err != nil || f.IsInf() || f.MantExp(nil) > maxExponent {
		return nil, false
	}
	return f, true
}
