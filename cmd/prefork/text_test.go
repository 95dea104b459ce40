package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"prefork/master"
)

func TestNothingThatATerminalObeysIsPrinted(t *testing.T) {
	for text, want := range map[string]string{
		"plain text":          "plain text",
		"grüße 世界":            "grüße 世界",
		"\x1b[31mred":         `\x1b[31mred`,
		"a\nb\tc\r":           `a\x0ab\x09c\x0d`,
		"\u009b2J":            `\u{9b}2J`,
		"\u202eevil\u2066":    `\u{202e}evil\u{2066}`,
		"cut \xe2\x82":        `cut \xe2\x82`,
		"\x7f\x00":            `\x7f\x00`,
		"\U000e0041":          `\u{e0041}`,
		"no-break\u00a0space": `no-break\u{a0}space`,
	} {
		if got := printable(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// FuzzPrintable: what comes out is one line of printable UTF-8, and JSON that is
// made fit for a terminal means the same.
func FuzzPrintable(f *testing.F) {
	for _, seed := range []string{"", "a", "\x1b[2J", "\u202e", "\xff", "\u2028", "😀\U000e0001"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out := printable(text)
		if !utf8.ValidString(out) || strings.ContainsFunc(out, func(r rune) bool {
			return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r >= 0x202a && r <= 0x202e
		}) {
			t.Errorf("%q: %q", text, out)
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(text); err != nil {
			t.Fatal(err)
		}
		var before, after string
		if err := json.Unmarshal(b.Bytes(), &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(escapeJSON(b.String())), &after); err != nil || before != after {
			t.Errorf("%q: %q, %v", before, after, err)
		}
	})
}

func TestNearNamesAreSuggestedAndFarOnesAreNot(t *testing.T) {
	known := []string{"workers", "drain_timeout", "drain_delay", "env", "name"}
	for name, want := range map[string]string{
		"worker": "workers", "wrokers": "workers", "drain_timout": "drain_timeout", "drain_dealy": "drain_delay",
		"nam": "name", "x": "", "ev": "", "database": "", "": "",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestShellWithoutExecIsWarnedOf(t *testing.T) {
	for _, c := range []struct {
		warn    bool
		command []string
	}{
		{true, []string{"sh", "-c", "python3 worker.py"}},
		{true, []string{"/bin/bash", "-ec", "cd /srv && ./app"}},
		{true, []string{"bash", "-e", "-c", "executable"}},
		{true, []string{"busybox", "sh", "-c", "httpd"}},
		{true, []string{"sh", "-c", "my-exec x"}},
		{false, []string{"sh", "-c", "exec python3 worker.py"}},
		{false, []string{"sh", "-c", "cd /srv && exec ./app"}},
		{false, []string{"sh", "start.sh", "-c"}},
		{false, []string{"sh", "-c"}},
		{false, []string{"python3", "-c", "print(1)"}},
		{false, nil},
	} {
		if got := (&master.Config{Command: c.command}).Warning(); (got != "") != c.warn {
			t.Errorf("%q: %q", c.command, got)
		}
	}
}

func TestSpansAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0s", 400 * time.Millisecond: "0.4s", 12 * time.Second: "12s", 125 * time.Second: "2m5s",
		90 * time.Minute: "1h30m", 76 * time.Hour: "3d4h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestLogIsJSONUnlessATerminalTheJournalOrAFlagSaysText(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range []struct{ format, want string }{{"", "{"}, {"json", "{"}, {"text", "20"}} {
		if _, err := f.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(0); err != nil {
			t.Fatal(err)
		}
		log := newLog(f, f, master.Config{Name: "shop", LogFormat: c.format, LogLevel: "warn"})
		log.Info("not shown")
		log.Warn("shown", "key", "value")
		data, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if got := string(data); !strings.HasPrefix(got, c.want) || strings.Count(got, "\n") != 1 || !strings.Contains(got, "shop") {
			t.Errorf("format %q: %q", c.format, got)
		}
	}
	if isTerminal(f) || isJournal(f, "1:2") || isJournal(f, "") {
		t.Error("a file is taken for a terminal or the journal")
	}
}
