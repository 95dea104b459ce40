package scoreboard

import (
	"fmt"
	"time"
)

// What is believed of a counter: an exabyte of requests is a lie, and nine of
// them can be added without an overflow.
const maxCount = 1 << 59

// clockSlack is how far in the future a time may be.
const clockSlack = int64(time.Second)

// checker takes values of a cell that can be true, and keeps the first error.
type checker struct {
	err  error
	now  int64     // CLOCK_MONOTONIC
	wall time.Time // at the same moment
}

func (c *checker) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *checker) count(what string, value uint64, most int64) int64 {
	n := int64(value)
	if n < 0 || n > most {
		c.fail(fmt.Errorf("%d %s (want 0 to %d)", n, what, most))
		return 0
	}
	return n
}

// when gives the time of an instant on CLOCK_MONOTONIC.
func (c *checker) when(what string, value uint64) time.Time {
	age := c.now - int64(value)
	switch {
	case value == 0:
		return time.Time{}
	case int64(value) < 0 || age < -clockSlack:
		c.fail(fmt.Errorf("%s at %d ns, which is in the future", what, value))
		return time.Time{}
	}
	return c.wall.Add(-time.Duration(age))
}

// text takes a text whose length is the low byte of a word.
func (c *checker) text(what string, from []byte, length uint64, most int) string {
	n := int(length & (1<<lengthBits - 1))
	if n > most {
		c.fail(fmt.Errorf("%s of %d bytes (max %d)", what, n, most))
		return ""
	}
	return string(from[:n])
}
