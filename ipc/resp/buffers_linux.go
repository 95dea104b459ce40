package resp

// Buffers of a usual size are kept for the next client that needs one.
const (
	spareBuffers = 64
	maxSpare     = 64 << 10
)

// buffer gives an empty buffer of at least n bytes, and counts it.
func (l *loop) buffer(n int) (b []byte) {
	if last := len(l.spare) - 1; last >= 0 && cap(l.spare[last]) >= n {
		b, l.spare = l.spare[last], l.spare[:last]
	} else {
		if n < maxSpare {
			n = max(n, readSize/2)
		}
		b = make([]byte, 0, n)
	}
	l.memory += int64(cap(b))
	return b
}

func (l *loop) giveBack(b []byte) {
	l.memory -= int64(cap(b))
	if cap(b) > 0 && cap(b) <= maxSpare && len(l.spare) < spareBuffers {
		l.spare = append(l.spare, b[:0])
	}
}

// within closes the clients with the greatest buffers until all together are
// within their bound. It says whether c is still there.
func (l *loop) within(c *conn) bool {
	for l.memory > l.o.MaxMemory {
		var greatest *conn
		for _, other := range l.conns {
			if other != nil && (greatest == nil || cap(other.in)+cap(other.out) > cap(greatest.in)+cap(greatest.out)) {
				greatest = other
			}
		}
		greatest.fault("the bound for the buffers of all clients")
		l.drop(greatest)
	}
	return l.conns[c.fd] == c
}
