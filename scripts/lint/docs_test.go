package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"prefork/scripts/pages"
)

// documents gives the pages that people read.
func documents(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, path := range files(t, ".md") {
		if path == "README.md" || strings.HasPrefix(path, "docs/") {
			found = append(found, path)
		}
	}
	return found
}

// testNames gives the names of all test functions of the repository.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	decl := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	names := map[string]bool{}
	for _, path := range files(t, "_test.go") {
		for _, m := range decl.FindAllStringSubmatch(read(t, path), -1) {
			names[m[1]] = true
		}
	}
	return names
}

func TestReadmeHasTheTwoCommands(t *testing.T) {
	text := read(t, "README.md")
	for _, command := range []string{"go run ./cmd/prefork demo", "scripts/test"} {
		if !strings.Contains(text, command) {
			t.Errorf("README.md does not name %q", command)
		}
	}
}

// A fault that is said to be covered is covered: what docs/reference/faults.md
// names exists.
func TestFaultsPageNamesTestsThatExist(t *testing.T) {
	names := testNames(t)
	named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`).FindAllString(read(t, "docs/reference/faults.md"), -1)
	if len(named) == 0 {
		t.Error("docs/reference/faults.md names no test")
	}
	for _, name := range named {
		if !names[name] {
			t.Errorf("docs/reference/faults.md names %s, which does not exist", name)
		}
	}
}

// What the documentation tells people to type is run: package pages has the
// convention, scripts/faults runs it.
func TestDocumentedCommandsAreRun(t *testing.T) {
	names := testNames(t)
	for _, path := range documents(t) {
		blocks, err := pages.Read(filepath.Join(root(), path))
		if err != nil {
			t.Error(err)
			continue
		}
		systemd := false
		for _, b := range blocks {
			at := path + ":" + itoa(b.Line)
			switch {
			case b.Lang == "bash" || b.Lang == "shell" || b.Lang == "zsh":
				t.Errorf("%s: commands are marked sh (run) or console (shown), not %s", at, b.Lang)
			case b.By() != "" && !names[b.By()]:
				t.Errorf("%s: %s does not exist", at, b.By())
			case b.Shell() && b.By() == "" && !b.Plain() && !b.Systemd():
				t.Errorf("%s: sh %q: see package pages", at, strings.Join(b.Words, " "))
			}
			systemd = systemd || b.Systemd()
			if systemd && b.Plain() {
				t.Errorf("%s: a page runs in a machine with systemd, or not", at)
			}
		}
	}
}

// A link within the repository leads somewhere.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
	for _, path := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, path), -1) {
			target := filepath.Join(root(), filepath.Dir(path), m[1])
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			}
		}
	}
}
