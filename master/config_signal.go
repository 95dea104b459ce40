package master

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSignal is the kernel's _NSIG on the ports that Go has but mips: signal(7).
const maxSignal = 64

// ParseStopSignal reads "TERM", "SIGTERM", "term" or "15". KILL and STOP are
// refused: no program can catch them (signal(7)), so none could drain.
func ParseStopSignal(text string) (unix.Signal, error) {
	sig, err := parseSignal(text)
	if err != nil {
		return 0, err
	}
	if sig == unix.SIGKILL || sig == unix.SIGSTOP {
		return 0, fmt.Errorf("%s cannot be caught, so no worker could drain: want a signal such as TERM, QUIT, INT or WINCH", FormatSignal(sig))
	}
	if unix.SignalName(sig) == "" {
		return 0, fmt.Errorf("signal %d has no name, so PREFORK_STOP_SIGNAL could not tell it: want a signal such as TERM, QUIT, INT or WINCH", sig)
	}
	return sig, nil
}

func parseSignal(text string) (unix.Signal, error) {
	if n, err := strconv.Atoi(text); err == nil {
		if n < 1 || n > maxSignal {
			return 0, fmt.Errorf("signal %d does not exist: want 1 to %d, or a name such as TERM", n, maxSignal)
		}
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(text)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("%q is no signal: want a name such as TERM or SIGTERM, or a number such as 15", text)
}

// FormatSignal is the short name of a signal, "TERM"; its number when it has none.
func FormatSignal(sig unix.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	return strconv.Itoa(int(sig))
}
