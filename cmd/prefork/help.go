package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is what a terminal of the usual size shows without wrapping.
const helpWidth = 80

// usageText is the part of a command's help behind its description. It stands
// in code, since a cobra template links text/template, which costs the binary
// the linker's method pruning.
func usageText(cmd *cobra.Command) string {
	var b strings.Builder
	b.WriteString("Usage:\n  " + cmd.UseLine() + "\n")
	if cmd.Example != "" {
		b.WriteString("\nExamples:\n" + cmd.Example + "\n")
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-12s %s\n", c.Name(), c.Short)
			}
		}
		fmt.Fprintf(&b, "\n%s COMMAND --help says more.\n", cmd.CommandPath())
	}
	if cmd.HasAvailableLocalFlags() {
		b.WriteString("\nFlags:\n")
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { flagText(&b, f) })
	}
	return b.String()
}

// helpCommand is "prefork help COMMAND". Unlike cobra's own it does not take
// an unknown command for a question about prefork itself.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show what a command does, with examples",
		Args:  atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			if len(args) == 0 {
				return root.Help()
			}
			for _, c := range root.Commands() {
				if c.Name() == args[0] {
					return c.Help()
				}
			}
			return unknownCommand(root, args[0])
		},
	}
}

// flagText writes a flag on a line of its own and what it means below it: some
// of the names are long.
func flagText(b *strings.Builder, f *pflag.Flag) {
	if f.Hidden {
		return
	}
	head := "  "
	if f.Shorthand != "" {
		head += "-" + f.Shorthand + ", "
	}
	head += "--" + f.Name
	if kind := f.Value.Type(); kind != "bool" {
		head += " " + placeholder(kind)
	}
	b.WriteString(head + "\n")
	for _, line := range wrap(f.Usage, helpWidth-8) {
		b.WriteString("        " + line + "\n")
	}
}

// placeholder is what the help calls the value of a flag.
func placeholder(kind string) string {
	if kind == "string" {
		return "PATH"
	}
	return kind
}

// wrap breaks a text at spaces into lines of at most width runes; a longer word
// has a line of its own.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
