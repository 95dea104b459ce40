package master

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseSurge reads a number of workers, "2", or a share of the count, "25%".
func ParseSurge(text string) (Surge, error) {
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(digits)
	switch {
	case err != nil:
		return Surge{}, fmt.Errorf("%q is no surge: want a number of workers, for example 2, or a share of them, for example 25%%", text)
	case n < 1:
		return Surge{}, fmt.Errorf("surge of %s: want at least 1 or 1%%, a reload needs room for one worker more", text)
	case percent && n > 100:
		return Surge{}, fmt.Errorf("surge of %s: want at most 100%%, which replaces all workers at once", text)
	case n > MaxWorkers:
		return Surge{}, fmt.Errorf("surge of %s: want at most %d", text, MaxWorkers)
	}
	return Surge{N: n, Percent: percent}, nil
}

// String is the text that ParseSurge reads.
func (s Surge) String() string {
	if s.Percent {
		return strconv.Itoa(s.N) + "%"
	}
	return strconv.Itoa(s.N)
}
