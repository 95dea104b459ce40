package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"prefork/master"
)

const checkHelp = `check reads flags, variables and file as run does, starts nothing, and prints
the configuration that run would use, with the place that each value comes from.
What it prints is itself a config file. A value that is not set stands in a
comment.

Exit codes: 0 all is well, 2 wrong flags, variables or no command, 4 something
in the file is wrong.`

func (p *program) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [flags] [-- command [args...]]",
		Short: "Check a configuration and show where each value comes from",
		Long:  checkHelp,
		Example: `  prefork check -c /etc/prefork/shop.toml
  prefork check -w 4 -l :8080 -- ./app`,
	}
	read := settingFlags(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		l := newLoader(read(), p.environ, args)
		c, err := l.load()
		if err != nil {
			return err
		}
		if text := c.Warning(); text != "" {
			_, _ = fmt.Fprintf(p.stderr, "prefork: warning: %s\n", printable(text))
		}
		return writeConfig(p.stdout, c)
	}
	return cmd
}

// writeConfig writes the effective configuration as TOML, the places as comments.
func writeConfig(w io.Writer, c master.Config) error {
	type row struct{ text, where string }
	rows := []row{{"command = " + quoteList(c.Command), place(c, "command", "")}}
	for _, s := range settings {
		text := s.key + " = " + s.show(&c)
		if s.show(&c) == "" {
			text = "# " + s.key
		}
		rows = append(rows, row{text, place(c, s.key, s.def)})
	}
	width := 0
	for _, r := range rows {
		if n := len([]rune(r.text)); n > width && n <= 40 {
			width = n
		}
	}
	var b strings.Builder
	for _, r := range rows {
		pad := max(0, width-len([]rune(r.text)))
		fmt.Fprintf(&b, "%s%s  # %s\n", r.text, strings.Repeat(" ", pad), printable(r.where))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// place is where a value comes from, as check says it.
func place(c master.Config, key, def string) string {
	where, given := c.Where[key]
	if !given {
		return "default: " + def
	}
	var others []string
	for _, from := range namedPlaces(c, key) {
		if from != where {
			others = append(others, from)
		}
	}
	if len(others) > 0 {
		return strings.Join(append(others, where), ", ")
	}
	return where
}

// namedPlaces are the places of the entries of env and rlimit, each once, in
// the order of the entries.
func namedPlaces(c master.Config, key string) []string {
	var names []string
	switch key {
	case "env":
		for _, v := range c.Env {
			names = append(names, v.Key)
		}
	case "rlimit":
		for _, r := range c.Rlimits {
			names = append(names, r.Name)
		}
	}
	var places []string
	seen := map[string]bool{}
	for _, n := range names {
		if where := c.Where[key+"."+n]; !seen[where] {
			seen[where] = true
			places = append(places, where)
		}
	}
	return places
}
