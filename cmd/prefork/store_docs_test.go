package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestReferenceHasEveryStoreCommandAndFlag(t *testing.T) {
	var store []string
	flags := map[string][]string{} // by row without the command: the commands that have it
	root := (&program{}).root()
	root.InitDefaultCompletionCmd()
	cmd, _, err := root.Find([]string{"store"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cmd.Commands() {
		store = append(store, "| `"+cell(c.Use)+"` | "+cell(c.Short)+" |")
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" {
				name := strings.TrimSuffix(strings.TrimPrefix(flagRow(f), "| "), " | "+cell(f.Usage)+" |")
				flags[name+" | %s | "+cell(f.Usage)] = append(flags[name+" | %s | "+cell(f.Usage)], c.Name())
			}
		})
	}
	var want []string
	for row, of := range flags {
		who := strings.Join(of, ", ")
		if len(of) == len(cmd.Commands()) {
			who = "all"
		}
		want = append(want, "| "+strings.Replace(row, "%s", who, 1)+" |")
	}
	want = append(want, store...)
	got := rows(t, page(t, "cli.md"), "store")
	slices.Sort(want)
	slices.Sort(got)
	same(t, "cli.md, store", got, want)
}
