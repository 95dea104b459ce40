package ipc

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxSeconds bounds what ParseSeconds takes: a hundred years. A
// time.Duration ends at 292.
const maxSeconds = 100 * 365 * 24 * 3600

// FormatSeconds gives a duration as decimal seconds, "30" or "0.5": the form
// of PREFORK_DRAIN_TIMEOUT, which a shell's sleep(1) and Python's float take.
// It is exact to the nanosecond; a negative duration counts as none.
func FormatSeconds(d time.Duration) string {
	d = max(d, 0)
	text := strconv.FormatInt(int64(d/time.Second), 10)
	if rest := d % time.Second; rest != 0 {
		text += "." + strings.TrimRight(fmt.Sprintf("%09d", int64(rest)), "0")
	}
	return text
}

// ParseSeconds reads decimal seconds: digits, and at most nine more after a
// point. No sign, exponent, unit or blank.
func ParseSeconds(text string) (time.Duration, error) {
	whole, fraction, point := strings.Cut(text, ".")
	if !digits(whole, 10) || point && !digits(fraction, 9) {
		return 0, fmt.Errorf("parse seconds %q: want a decimal number like 30 or 0.5", text)
	}
	// Both are digits alone and short enough for an int64.
	seconds, _ := strconv.ParseInt(whole, 10, 64)
	if seconds > maxSeconds {
		return 0, fmt.Errorf("parse seconds %q: more than %d", text, int64(maxSeconds))
	}
	d := time.Duration(seconds) * time.Second
	if point {
		nanos, _ := strconv.ParseInt(fraction+strings.Repeat("0", 9-len(fraction)), 10, 64)
		d += time.Duration(nanos)
	}
	return d, nil
}

// digits says whether text is 1 to most decimal digits.
func digits(text string, most int) bool {
	if text == "" || len(text) > most {
		return false
	}
	return strings.Trim(text, "0123456789") == ""
}
