package store

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// FullPolicy says what a write to a full store does once nothing is left that
// has expired.
type FullPolicy uint8

const (
	EvictLRU   FullPolicy = iota // the entries least recently used go, about
	RefuseFull                   // ErrFull
)

// Config says what Create and Private make. The zero value is the default.
type Config struct {
	Size int64 // bytes, rounded up to pages; 0: DefaultSize
	Full FullPolicy
}

// Sizes of a store, in bytes.
const (
	DefaultSize = 64 << 20
	MinSize     = 256 << 10
	MaxSize     = 1 << 40
)

// units are the suffixes of a size.
var units = []struct {
	suffix string
	factor float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"B", 1}, {"", 1}}

// ParseConfig reads "64MiB" or "64MiB?full=refuse": a number with KiB, MiB or
// GiB (K, M and G mean the same), and what to do when the store is full: evict
// (the default) or refuse.
func ParseConfig(text string) (Config, error) {
	size, query, _ := strings.Cut(text, "?")
	c, err := parseSize(size)
	if err != nil {
		return Config{}, err
	}
	for option := range strings.SplitSeq(query, "&") {
		switch option {
		case "", "full=evict":
		case "full=refuse":
			c.Full = RefuseFull
		default:
			return Config{}, fmt.Errorf("store %q: option %q: want full=evict or full=refuse", text, option)
		}
	}
	return c, nil
}

func parseSize(text string) (Config, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || n < 0 || math.IsNaN(n) {
			break
		}
		if n *= u.factor; n < MinSize || n > MaxSize {
			return Config{}, fmt.Errorf("store of %s: want %s to %s", text, FormatSize(MinSize), FormatSize(MaxSize))
		}
		return Config{Size: int64(n)}, nil
	}
	return Config{}, fmt.Errorf("store %q: want a size such as 64MiB", text)
}

// FormatSize writes a size the way ParseConfig reads it.
func FormatSize(size int64) string {
	switch {
	case size >= 1<<30 && size%(1<<30) == 0:
		return strconv.FormatInt(size>>30, 10) + "GiB"
	case size >= 1<<20 && size%(1<<20) == 0:
		return strconv.FormatInt(size>>20, 10) + "MiB"
	case size >= 1<<10 && size%(1<<10) == 0:
		return strconv.FormatInt(size>>10, 10) + "KiB"
	}
	return strconv.FormatInt(size, 10) + "B"
}

// String writes the configuration the way ParseConfig reads it.
func (c Config) String() string {
	if c.Size == 0 {
		c.Size = DefaultSize
	}
	text := FormatSize(c.Size)
	if c.Full == RefuseFull {
		text += "?full=refuse"
	}
	return text
}
