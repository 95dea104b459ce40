package ipc_test

import (
	"reflect"
	"strings"
	"testing"

	"prefork/ipc"
)

func TestFDsKeepTheirOrderAndComeBack(t *testing.T) {
	list := []ipc.FD{{ipc.FDLifeline, 5}, {ipc.FDScoreboard, 6}, {ipc.FDStore, 7}, {ipc.FDStderr, 4}}
	text := ipc.FormatFDs(list)
	if want := "lifeline:5,scoreboard:6,store:7,stderr:4"; text != want {
		t.Fatalf("FormatFDs = %q, want %q", text, want)
	}
	got, err := ipc.ParseFDs(text)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"lifeline": 5, "scoreboard": 6, "store": 7, "stderr": 4}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("ParseFDs = %v, want %v", got, want)
	}
}

func TestNoFDsIsAnEmptyText(t *testing.T) {
	got, err := ipc.ParseFDs(ipc.FormatFDs(nil))
	if err != nil || len(got) != 0 {
		t.Fatalf("ParseFDs(\"\") = %v, %v", got, err)
	}
}

func TestFDsOfAnyOtherFormAreRefused(t *testing.T) {
	for _, text := range []string{
		",", "lifeline", "lifeline:", ":5", "lifeline:5,", ",lifeline:5", "lifeline:5,,store:6",
		"lifeline:-1", "lifeline:+5", "lifeline:05", "lifeline: 5", "lifeline:5 ", "lifeline:5.0", "lifeline:0x5",
		"lifeline:2", "lifeline:1048576", "lifeline:99999999999999999999",
		"lifeline:5,lifeline:6", "lifeline:5,store:5", "LIFELINE:5", "life line:5", "a\nb:5", "lifeline:5\n",
		strings.Repeat("n", 65) + ":5", strings.Repeat("a:5,", 100), "lifeline:5:6", "\xff:5",
	} {
		if got, err := ipc.ParseFDs(text); err == nil {
			t.Errorf("ParseFDs(%q) = %v, want an error", text, got)
		} else if !strings.HasPrefix(err.Error(), "parse PREFORK_FDS: ") {
			t.Errorf("ParseFDs(%q): error %q does not name the variable", text, err)
		}
	}
}

func FuzzParseFDs(f *testing.F) {
	for _, seed := range []string{"", "lifeline:5,scoreboard:6,store:7", "a:3", "a:3,b:3", "a:03", "a:3,", "a::3", ":", strings.Repeat("a", 70) + ":4"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ipc.ParseFDs(text)
		if err != nil {
			return
		}
		// What is accepted is exactly what FormatFDs writes, in some order.
		var list []ipc.FD
		for _, entry := range strings.Split(text, ",") {
			name, _, _ := strings.Cut(entry, ":")
			if entry != "" {
				list = append(list, ipc.FD{Name: name, Number: got[name]})
			}
		}
		if again := ipc.FormatFDs(list); again != text {
			t.Fatalf("accepted %q, formats as %q", text, again)
		}
	})
}
