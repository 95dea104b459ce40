package master

import (
	"fmt"
	"strings"
)

// ParseReadiness reads "auto", "notify" or "alive:DURATION".
func ParseReadiness(text string) (Readiness, error) {
	switch text {
	case "auto":
		return Readiness{Mode: ReadyAuto}, nil
	case "notify":
		return Readiness{Mode: ReadyNotify}, nil
	}
	alive, ok := strings.CutPrefix(text, "alive:")
	if !ok {
		return Readiness{}, fmt.Errorf("%q is no readiness: want auto, notify or alive:DURATION, for example alive:2s", text)
	}
	d, err := ParseDuration(alive)
	if err != nil {
		return Readiness{}, fmt.Errorf("alive: %w", err)
	}
	return Readiness{Mode: ReadyAlive, Alive: d}, nil
}

// String is the text that ParseReadiness reads.
func (r Readiness) String() string {
	switch r.Mode {
	case ReadyAuto:
		return "auto"
	case ReadyNotify:
		return "notify"
	case ReadyAlive:
		return "alive:" + FormatDuration(r.Alive)
	}
	return fmt.Sprintf("ReadyMode(%d)", int(r.Mode))
}
