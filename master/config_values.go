package master

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds that catch a typing error rather than a wish.
const (
	MaxWorkers  = 65536                // four times the cells of the scoreboard
	MaxDuration = 365 * 24 * time.Hour // sums of a few of them still fit a Duration
)

// ParseDuration reads a time span with units: "30s", "500ms", "1m30s"; "0"
// needs none.
func ParseDuration(text string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil && text != "0" {
		return 0, fmt.Errorf("%q has no unit: want for example %ss, or %sms", text, text, text)
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is no time span: want for example 30s, 500ms or 1m30s", text)
	case d < 0:
		return 0, fmt.Errorf("%q is negative: want 0 or more", text)
	case d > MaxDuration:
		return 0, fmt.Errorf("%q is too long: want at most %s", text, FormatDuration(MaxDuration))
	}
	return d, nil
}

// FormatDuration is the shortest text that ParseDuration reads: "30s", "1h",
// "1m30s", "0s".
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// ParseUmask reads octal digits, "0027".
func ParseUmask(text string) (int, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("%q is no umask: want octal digits from 0000 to 0777, for example 0027", text)
	}
	return int(n), nil
}

// ParseEnvVar reads "KEY=VALUE"; the value may be empty.
func ParseEnvVar(text string) (EnvVar, error) {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" {
		return EnvVar{}, fmt.Errorf("%q is no variable: want NAME=VALUE", text)
	}
	return EnvVar{Key: key, Value: value}, nil
}

// ParseCount reads a whole number from low to high.
func ParseCount(text string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no whole number: want %d to %d", text, low, high)
	}
	if n < low || n > high {
		return 0, fmt.Errorf("%d is out of bounds: want %d to %d", n, low, high)
	}
	return n, nil
}

// ParseChoice accepts one of the choices and nothing else.
func ParseChoice(text string, choices ...string) (string, error) {
	for _, c := range choices {
		if text == c {
			return c, nil
		}
	}
	last := len(choices) - 1
	return "", fmt.Errorf("%q is not known: want %s or %s", text, strings.Join(choices[:last], ", "), choices[last])
}
