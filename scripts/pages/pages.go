// Package pages reads the fenced blocks of the documentation, so that what it
// tells people to type is run by tests.
//
// The convention, by the words after the three backticks:
//
//	sh             commands that the test runs, page by page, from top to bottom, in an
//	               empty folder with prefork on the PATH and a network of its own; each
//	               must succeed. `go run ./cmd/prefork` is prefork. `run` and `demo`, which
//	               would keep the terminal, are taken to the background once they are
//	               ready, and stopped before the next one and at the page's end
//	sh systemd     commands that the test runs, as root, in a machine with a real systemd
//	sh by=TestName commands that this test runs in its own way
//	LANG FILE      a file of the page, written before the commands below it are run:
//	               "python worker.py"; beside "sh systemd" its name is a path: "toml /etc/prefork/web.toml"
//	console, text  what is shown: output, or a dialogue with prompts. Never run
//
// Other words for a shell (bash, shell, zsh) are not used, so that no command
// escapes by its label.
package pages

import (
	"fmt"
	"os"
	"strings"
)

// Block is a fenced block of a page.
type Block struct {
	Line  int      // of its first backticks, from 1
	Lang  string   // first word after them, "" none
	Words []string // the other words
	Text  string   // what is in it, each line ended
}

// Shell reports whether the block is of commands.
func (b Block) Shell() bool { return b.Lang == "sh" }

// By gives the test that runs the block in its own way, "" none.
func (b Block) By() string {
	for _, w := range b.Words {
		if name, ok := strings.CutPrefix(w, "by="); ok {
			return name
		}
	}
	return ""
}

// Systemd reports whether the block is for a machine with a real systemd.
func (b Block) Systemd() bool { return b.Shell() && len(b.Words) == 1 && b.Words[0] == "systemd" }

// Plain reports whether the block is for the test that runs pages.
func (b Block) Plain() bool { return b.Shell() && len(b.Words) == 0 }

// Path gives the file that the block is, "" for none.
func (b Block) Path() string {
	if b.Shell() || b.Lang == "console" || b.Lang == "text" || len(b.Words) != 1 {
		return ""
	}
	return b.Words[0]
}

// Read gives the blocks of a page, in order.
func Read(path string) ([]Block, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	blocks, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return blocks, nil
}

// Parse gives the blocks of a text. A fence may be indented, as in a list; its
// block's lines lose that indent.
func Parse(text string) ([]Block, error) {
	const fence = "```"
	var blocks []Block
	var open *Block
	indent := ""
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		body := strings.TrimLeft(line, " ")
		if !strings.HasPrefix(body, fence) {
			if open != nil {
				open.Text += strings.TrimPrefix(line, indent) + "\n"
			}
			continue
		}
		if open != nil {
			if strings.TrimSpace(body) != fence {
				return nil, fmt.Errorf("%d: a block begins inside of the one of line %d", n, open.Line)
			}
			blocks = append(blocks, *open)
			open = nil
			continue
		}
		open, indent = &Block{Line: n}, line[:len(line)-len(body)]
		if words := strings.Fields(strings.TrimLeft(body, "`")); len(words) > 0 {
			open.Lang, open.Words = words[0], words[1:]
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%d: the block is not closed", open.Line)
	}
	return blocks, nil
}
