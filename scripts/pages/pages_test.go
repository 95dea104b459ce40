package pages_test

import (
	"strings"
	"testing"

	"prefork/scripts/pages"
)

func TestParseKeepsOrderPlaceAndIndent(t *testing.T) {
	blocks, err := pages.Parse("# Title\n\n```python worker.py\nprint()\n```\n1. then\n   ```sh\n   a\n     b\n   ```\n\n```sh by=TestDemo\nc\n```\n```sh systemd\nd\n```\n```\nplain\n```\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(blocks) != 5 {
		t.Fatalf("%d blocks: %+v", len(blocks), blocks)
	}
	if b := blocks[0]; b.Path() != "worker.py" || b.Text != "print()\n" || b.Line != 3 || b.Shell() {
		t.Errorf("file: %+v", b)
	}
	if b := blocks[1]; !b.Plain() || b.Text != "a\n  b\n" || b.Line != 7 {
		t.Errorf("indented: %+v", b)
	}
	if b := blocks[2]; b.By() != "TestDemo" || b.Plain() || b.Systemd() {
		t.Errorf("by: %+v", b)
	}
	if b := blocks[3]; !b.Systemd() || b.Plain() {
		t.Errorf("systemd: %+v", b)
	}
	if b := blocks[4]; b.Lang != "" || b.Shell() || b.Path() != "" {
		t.Errorf("plain: %+v", b)
	}
}

func TestParseRefusesUnclosedBlock(t *testing.T) {
	for _, text := range []string{"```sh\na\n", "```sh\n```sh\n```\n"} {
		if _, err := pages.Parse(text); err == nil || !strings.Contains(err.Error(), "1") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
