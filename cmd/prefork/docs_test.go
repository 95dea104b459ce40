package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prefork/master"
	"prefork/master/control"
)

// page reads a page of the reference.
func page(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// rows are the table rows of a section, whole lines.
func rows(t *testing.T, page, heading string) []string {
	t.Helper()
	_, section, ok := strings.Cut(page, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var out []string
	for line := range strings.SplitSeq(section, "\n") {
		if strings.HasPrefix(line, "| `") {
			out = append(out, line)
		}
	}
	return out
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("%s, row %d:\n%s\nthe code says:\n%s", what, i+1, g, w)
		}
	}
}

// cell makes text fit for a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// settingRow is a setting's row in config.md.
func settingRow(s *setting) string {
	flag := "`--" + s.flag()
	if s.arg != "" {
		flag += " " + cell(s.arg)
	}
	flag += "`"
	if s.short != "" {
		flag = "`-" + s.short + "`, " + flag
	}
	return "| `" + s.key + "` | " + flag + " | " + cell(s.def) + " | " + cell(s.usage) + " |"
}

func TestReferenceHasEveryKey(t *testing.T) {
	var want []string
	for _, s := range settings {
		want = append(want, settingRow(s))
	}
	same(t, "config.md", rows(t, page(t, "config.md"), "Keys"), want)
}

func TestReferenceHasEveryLimit(t *testing.T) {
	_, list, _ := strings.Cut(page(t, "config.md"), "The resources are ")
	list, _, _ = strings.Cut(list, ".")
	list = strings.Join(strings.Fields(list), " ")
	if want := "`" + strings.Join(master.RlimitNames(), "`, `") + "`"; list != want {
		t.Errorf("config.md says %s\nthe code says %s", list, want)
	}
}

func TestReferenceHasEveryCommandAndFlag(t *testing.T) {
	root := (&program{}).root()
	root.InitDefaultCompletionCmd()
	text := page(t, "cli.md")
	var want []string
	for _, c := range root.Commands() {
		if c.Name() != "help" {
			want = append(want, "| `"+cell(strings.TrimSuffix(c.UseLine(), " [flags]"))+"` | "+cell(c.Short)+" |")
		}
	}
	got := rows(t, text, "Commands")
	slices.Sort(want)
	slices.Sort(got)
	same(t, "cli.md", got, want)

	var flags []string
	for _, c := range root.Commands() {
		if c.Name() != "run" && c.Name() != "check" && c.Name() != "demo" && !strings.HasPrefix(c.Name(), "completion") {
			flags = append(flags, flagRows(c)...)
		}
	}
	got = rows(t, text, "Flags of the commands that ask a pool")
	slices.Sort(flags)
	flags = slices.Compact(flags)
	slices.Sort(got)
	same(t, "cli.md", got, flags)
}

// flagRows are the rows of a command's flags, without the command.
func flagRows(c *cobra.Command) []string {
	var out []string
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" {
			out = append(out, flagRow(f))
		}
	})
	return out
}

func flagRow(f *pflag.Flag) string {
	name := "`--" + f.Name + "`"
	if f.Value.Type() != "bool" {
		name = "`--" + f.Name + " " + placeholder(f.Value.Type()) + "`"
	}
	if f.Shorthand != "" {
		name = "`-" + f.Shorthand + "`, " + name
	}
	return "| " + name + " | " + cell(f.Usage) + " |"
}

// TestReferenceHasEveryFieldOfTheStatus: status --json is a stable format.
func TestReferenceHasEveryFieldOfTheStatus(t *testing.T) {
	text := page(t, "control.md")
	first := regexp.MustCompile("^\\| `([^`]+)`")
	for heading, typ := range map[string]reflect.Type{
		"Request":                  reflect.TypeFor[control.Request](),
		"Answer":                   reflect.TypeFor[control.Answer](),
		"Status":                   reflect.TypeFor[control.Status](),
		"A listener":               reflect.TypeFor[control.Listener](),
		"A worker":                 reflect.TypeFor[control.Worker](),
		"A latency":                reflect.TypeFor[control.Latency](),
		"The totals":               reflect.TypeFor[control.Totals](),
		"An empty slot":            reflect.TypeFor[control.Slot](),
		"The last reload":          reflect.TypeFor[control.Reload](),
		"The store":                reflect.TypeFor[control.Store](),
		"A request that is served": reflect.TypeFor[control.Serving](),
		"A helper":                 reflect.TypeFor[control.Helper](),
		"Dropped":                  reflect.TypeFor[control.Dropped](),
	} {
		var got, want []string
		for _, row := range rows(t, text, heading) {
			got = append(got, first.FindStringSubmatch(row)[1])
		}
		for _, f := range reflect.VisibleFields(typ) {
			if f.Anonymous {
				continue // its fields stand for it
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			want = append(want, name)
		}
		same(t, "control.md, "+heading, got, want)
	}
}
