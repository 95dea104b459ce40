package demo_test

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The words that are bold in the tour are those of the page, but for these.
var notOnThePage = []string{"master", "workers", "slot", "Enter"}

func TestTutorialUsesTheWordsOfThePage(t *testing.T) {
	tour, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "tutorial", "demo.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := ""
	for _, path := range []string{"/", "/demo.js"} {
		text, err := io.ReadAll(newVisitor(t).send(workerOf(newFakeStore(), 0), "GET", path, "").Body)
		if err != nil {
			t.Fatal(err)
		}
		page += string(text)
	}
	words := regexp.MustCompile(`\*\*(.+?)\*\*`).FindAllStringSubmatch(string(tour), -1)
	if len(words) < 10 {
		t.Fatalf("only %d bold words in the tour", len(words))
	}
next:
	for _, m := range words {
		for _, w := range notOnThePage {
			if m[1] == w {
				continue next
			}
		}
		if m[1] == "generation 1 · 4 workers" || m[1] == "generation 2 · 4 workers" {
			continue // made from numbers
		}
		if !strings.Contains(page, ">"+m[1]+"<") && !strings.Contains(page, "'"+m[1]+"'") && !strings.Contains(page, "</span>"+m[1]) {
			t.Errorf("the tour speaks of %q, which is not on the page", m[1])
		}
	}
	for _, code := range []string{"var sessions = map[string]Session{}", "var sessions = w.Store()"} {
		if !strings.Contains(string(tour), code) || !strings.Contains(page, code) {
			t.Errorf("%q does not stand in both, tour and page", code)
		}
	}
}
