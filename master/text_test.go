package master

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanLeavesNothingThatATerminalActsOn(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"a\x1b[31mred\x00\x7f", "a?[31mred??"},
		{"line\nline\r", "line?line?"},
		{"c1 \u009b and \u2028", "c1 ? and ?"},
		{"bad \xff\xfe utf8", "bad ? utf8"},
		{"ünïcode stays", "ünïcode stays"},
	} {
		if got := clean(c.in, 100); got != c.want {
			t.Errorf("clean(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestCleanKeepsTheEndOfWhatIsTooLong(t *testing.T) {
	got := clean(strings.Repeat("é", 100)+"end", 11)
	if !strings.HasPrefix(got, "...") || !strings.HasSuffix(got, "end") || !utf8.ValidString(got) || len(got) > 3+11 {
		t.Errorf("clean cut to %q", got)
	}
}

func TestLastLinesAreTheLastThatSaySomething(t *testing.T) {
	text := "Traceback:\n  File x\n\n    import y\nImportError: no y\n\n\r\n"
	if got, want := lastLines([]byte(text), 2), "import y | ImportError: no y"; got != want {
		t.Errorf("lastLines = %q, want %q", got, want)
	}
	if got := lastLines(nil, 3); got != "" {
		t.Errorf("lastLines of nothing = %q", got)
	}
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "a", "\x1b]0;title\x07", "\xff\xff\xff", strings.Repeat("\u2028", 50)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := clean(in, 40)
		if !utf8.ValidString(got) || len(got) > 43+utf8.UTFMax {
			t.Fatalf("clean(%q) = %q", in, got)
		}
		for _, r := range got {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 {
				t.Fatalf("clean(%q) left %q", in, r)
			}
		}
	})
}
