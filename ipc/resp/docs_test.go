package resp

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const page = "../../docs/reference/store-commands.md"

// TestTheReferenceHasEachCommand compares the page with the table.
func TestTheReferenceHasEachCommand(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Split(string(text), "\n## Not offered")[0])
	var told, there []string
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ := strings.Cut(rest, "`")
			told = append(told, strings.ReplaceAll(strings.ToLower(name), " ", "|"))
		}
	}
	for i := range table {
		if k := &table[i]; k.run != nil { // a container alone is no command
			there = append(there, k.name)
		}
	}
	slices.Sort(told)
	slices.Sort(there)
	for _, name := range there {
		if !slices.Contains(told, name) {
			t.Errorf("%s does not have %s", page, name)
		}
	}
	for _, name := range told {
		if !slices.Contains(there, name) {
			t.Errorf("%s has %s, which is no command", page, name)
		}
	}
}

// TestTheReferenceHasEachText looks for the errors, the refused commands and
// the parameters.
func TestTheReferenceHasEachText(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	words := []string{errFull, errTooLong, errKeyTooLong, errNoAuth, errScript, errNoScript, errBusy, redisVersion}
	for name := range refused {
		words = append(words, "`"+strings.ToUpper(name)+"`")
	}
	for _, p := range parameters {
		words = append(words, "`"+p.name+"`")
	}
	for _, section := range sections {
		words = append(words, strings.ToLower(section.name))
	}
	for _, w := range words {
		if !strings.Contains(string(text), w) {
			t.Errorf("%s does not have %q", page, w)
		}
	}
}
