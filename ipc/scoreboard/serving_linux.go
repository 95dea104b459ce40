package scoreboard

import "time"

// Serving is a request that a worker is serving. Its texts are what the client
// sent: any bytes, to be made printable where they are shown.
type Serving struct {
	Method, Path, Client string
	Cut                  bool // one of the texts was longer
	Since                time.Time
}

// Serving copies the requests that have a place in a cell, and checks the
// copy, as Read does. A place that is written at that moment is left out.
func (b *Board) Serving(cell int) ([]Serving, error) {
	o := b.owner(cell)
	c := checker{now: monotonic(), wall: time.Now()}
	var all []Serving
	for i := range Places {
		if s, ok := b.serving(placeAt(cell, i), &c); ok {
			all = append(all, s)
		}
	}
	if c.err != nil {
		return nil, bad(cell, o, c.err)
	}
	return all, nil
}

func (b *Board) serving(at int, c *checker) (Serving, bool) {
	var copied [placeSize - offLengths]byte
	for range tries {
		before := b.segment.Word(at + offSequence).Load()
		since := b.segment.Word(at + offSince).Load()
		if since == 0 || before%2 == 1 { // its writer may be dead: nothing to wait for
			return Serving{}, false
		}
		lengths := b.segment.Word(at + offLengths).Load()
		b.segment.Load(copied[offMethod-offLengths:], at+offMethod)
		if b.segment.Word(at+offSequence).Load() != before {
			continue
		}
		s := Serving{Since: c.when("begin of a request", since), Cut: lengths&cutBit != 0}
		s.Method = c.text("method", copied[offMethod-offLengths:], lengths, maxMethod)
		s.Client = c.text("client", copied[offClient-offLengths:], lengths>>lengthBits, maxClient)
		s.Path = c.text("path", copied[offPath-offLengths:], lengths>>(2*lengthBits), maxPath)
		return s, c.err == nil
	}
	return Serving{}, false
}
