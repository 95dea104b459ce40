package master_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/master"
)

func TestDurationsNeedUnits(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "30s": 30 * time.Second, "1m30s": 90 * time.Second, "500ms": 500 * time.Millisecond,
		"1h": time.Hour, "8760h": master.MaxDuration,
	} {
		d, err := master.ParseDuration(text)
		if err != nil || d != want {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "30", "1.5", "s", "30 s", "1d", "-1s", "8761h", "99999999999h", "+Inf", "NaN", "0x1p3"} {
		if d, err := master.ParseDuration(text); err == nil {
			t.Errorf("%q is read as %v", text, d)
		}
	}
}

func TestStopSignalsGoByNameAndNumber(t *testing.T) {
	for text, want := range map[string]unix.Signal{
		"TERM": unix.SIGTERM, "SIGTERM": unix.SIGTERM, "term": unix.SIGTERM, "15": unix.SIGTERM,
		"QUIT": unix.SIGQUIT, "WINCH": unix.SIGWINCH, "sigusr1": unix.SIGUSR1,
	} {
		s, err := master.ParseStopSignal(text)
		if err != nil || s != want {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "KILL", "9", "SIGSTOP", "34", "0", "-1", "65", "SIG", "SIGSIGTERM", "TERM ", "1.5"} {
		if s, err := master.ParseStopSignal(text); err == nil {
			t.Errorf("%q is read as %v", text, s)
		}
	}
	if got := master.FormatSignal(34); got != "34" {
		t.Errorf("real-time signal: %s", got)
	}
}

func TestRlimits(t *testing.T) {
	const inf = unix.RLIM_INFINITY
	for text, want := range map[string]master.Rlimit{
		"nofile=1024":      {Name: "nofile", Resource: unix.RLIMIT_NOFILE, Cur: 1024, Max: 1024},
		"nofile=1024:4096": {Name: "nofile", Resource: unix.RLIMIT_NOFILE, Cur: 1024, Max: 4096},
		"as=256M":          {Name: "as", Resource: unix.RLIMIT_AS, Cur: 256 << 20, Max: 256 << 20},
		"core=unlimited":   {Name: "core", Resource: unix.RLIMIT_CORE, Cur: inf, Max: inf},
		"core=0:infinity":  {Name: "core", Resource: unix.RLIMIT_CORE, Cur: 0, Max: inf},
		"stack=8K":         {Name: "stack", Resource: unix.RLIMIT_STACK, Cur: 8 << 10, Max: 8 << 10},
		"data=2T":          {Name: "data", Resource: unix.RLIMIT_DATA, Cur: 2 << 40, Max: 2 << 40},
	} {
		r, err := master.ParseRlimit(text)
		if err != nil || r != want {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
		if again, err := master.ParseRlimit(r.String()); err != nil || again != want {
			t.Errorf("%s: as text %s: %+v, %v", text, r, again, err)
		}
	}
	for _, text := range []string{
		"", "nofile", "=1", "nofile=", "nofile=-1", "nofile=1:", "nofile=:1", "nofile=1M", "NOFILE=1", "nofile=2:1",
		"as=M", "as=1k", "as=99999999999999T", "as=18446744073709551615", "core=unlimited:1", "nofile=1:2:3",
	} {
		if r, err := master.ParseRlimit(text); err == nil {
			t.Errorf("%q is read as %+v", text, r)
		}
	}
}

func TestUmaskIsOctal(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "022": 0o22, "0027": 0o27, "27": 0o27, "0o77": 0o77, "777": 0o777} {
		if n, err := master.ParseUmask(text); err != nil || n != want {
			t.Errorf("%s: %o, %v", text, n, err)
		}
	}
	for _, text := range []string{"", "8", "1000", "-1", "0x1f", "rwx"} {
		if n, err := master.ParseUmask(text); err == nil {
			t.Errorf("%q is read as %o", text, n)
		}
	}
}

func TestReadiness(t *testing.T) {
	for text, want := range map[string]master.Readiness{
		"auto": {Mode: master.ReadyAuto}, "notify": {Mode: master.ReadyNotify},
		"alive:0s": {Mode: master.ReadyAlive}, "alive:1m30s": {Mode: master.ReadyAlive, Alive: 90 * time.Second},
	} {
		r, err := master.ParseReadiness(text)
		if err != nil || r != want || r.String() != text {
			t.Errorf("%s: %v, %v", text, r, err)
		}
	}
}

func TestShortDurationsReadBack(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 30 * time.Second: "30s", time.Minute: "1m", time.Hour: "1h", 90 * time.Second: "1m30s",
		time.Hour + time.Second: "1h0m1s", 10 * time.Minute: "10m", 1500 * time.Millisecond: "1.5s",
	} {
		if got := master.FormatDuration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// FuzzTexts: no text makes a parser panic, what is read can be written and read
// again as the same, and an error is one line.
func FuzzTexts(f *testing.F) {
	for _, seed := range []string{
		"", "auto", "alive:5s", "alive:", "100%", "%", "TERM", "SIGSIG", "64", "nofile=1:2", "as=256M", "as=", "=", ":",
		"0027", "0o7", "A=B", "=B", "1h0m0s", "-0", "1e400", "9999999999999999999", "\x00", "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		oneLine := func(err error) {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %v", err)
			}
		}
		if r, err := master.ParseReadiness(text); err != nil {
			oneLine(err)
		} else if again, err := master.ParseReadiness(r.String()); err != nil || again != r {
			t.Errorf("readiness %q: %v, %v", text, again, err)
		}
		if s, err := master.ParseSurge(text); err != nil {
			oneLine(err)
		} else if s.Of(1) < 1 || s.Of(master.MaxWorkers) > master.MaxWorkers {
			t.Errorf("surge %q: %v", text, s)
		}
		if s, err := master.ParseStopSignal(text); err != nil {
			oneLine(err)
		} else if again, err := master.ParseStopSignal(master.FormatSignal(s)); err != nil || again != s {
			t.Errorf("signal %q: %v, %v", text, again, err)
		}
		if r, err := master.ParseRlimit(text); err != nil {
			oneLine(err)
		} else if again, err := master.ParseRlimit(r.String()); err != nil || again != r {
			t.Errorf("limit %q: %v, %v", text, again, err)
		}
		if d, err := master.ParseDuration(text); err != nil {
			oneLine(err)
		} else if again, err := master.ParseDuration(master.FormatDuration(d)); err != nil || again != d {
			t.Errorf("time span %q: %v, %v", text, again, err)
		}
		if _, err := master.ParseUmask(text); err != nil {
			oneLine(err)
		}
		if _, err := master.ParseEnvVar(text); err != nil {
			oneLine(err)
		}
	})
}
