package ipc_test

import (
	"testing"
	"time"

	"prefork/ipc"
)

func TestSecondsAreExactAndShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", -time.Second: "0", 30 * time.Second: "30", 500 * time.Millisecond: "0.5", 1: "0.000000001",
		90*time.Second + 250*time.Millisecond: "90.25", 24 * time.Hour: "86400", time.Second + 10: "1.00000001",
	} {
		got := ipc.FormatSeconds(d)
		if got != want {
			t.Errorf("FormatSeconds(%v) = %q, want %q", d, got, want)
		}
		if back, err := ipc.ParseSeconds(got); err != nil || back != max(d, 0) {
			t.Errorf("ParseSeconds(%q) = %v, %v", got, back, err)
		}
	}
}

func TestSecondsTakePlainDecimalsOnly(t *testing.T) {
	for text, want := range map[string]time.Duration{"007": 7 * time.Second, "0.50": time.Second / 2, "3.000000000": 3 * time.Second} {
		if got, err := ipc.ParseSeconds(text); err != nil || got != want {
			t.Errorf("ParseSeconds(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".", "1.", ".5", "-1", "+1", "1e3", "0x1", "30s", " 1", "1 ", "1.0000000001", "1.2.3", "NaN", "inf", "99999999999", "9999999999", "١"} {
		if got, err := ipc.ParseSeconds(text); err == nil {
			t.Errorf("ParseSeconds(%q) = %v, want an error", text, got)
		}
	}
}

func FuzzParseSeconds(f *testing.F) {
	for _, seed := range []string{"30", "0.5", "", "1.", "00.10", "3153600000", "3153600001", "-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ipc.ParseSeconds(text)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("ParseSeconds(%q) = %v", text, d)
		}
		if again, err := ipc.ParseSeconds(ipc.FormatSeconds(d)); err != nil || again != d {
			t.Fatalf("%q is %v, comes back as %v, %v", text, d, again, err)
		}
	})
}
