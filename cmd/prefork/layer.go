package main

import (
	"fmt"
	"slices"
	"strings"

	"prefork/master"
)

// entry is one text that a source gives, and the place it stands at.
type entry struct {
	text  string
	where string
}

// layer is what one source gives, by key.
type layer map[string][]entry

// problem is one thing that is wrong with what a source gives.
func problem(key, where, format string, args ...any) *master.Problem {
	return &master.Problem{Keys: []string{key}, Where: where, What: fmt.Sprintf(format, args...)}
}

// environmentLayer reads the variables PREFORK_RUN_*. A list stands in one
// variable, its entries separated by white space; those of env by line ends,
// since values may hold spaces.
func environmentLayer(environ []string) (layer, []*master.Problem) {
	l := layer{}
	var problems []*master.Problem
	for _, pair := range environ {
		name, text, _ := strings.Cut(pair, "=")
		rest, ok := strings.CutPrefix(name, envPrefix)
		if !ok {
			continue
		}
		key := strings.ToLower(rest)
		s := settingOf(key)
		switch {
		case name == envPrefix+"CONFIG":
			l["config"] = []entry{{text, name}}
		case name == envPrefix+"COMMAND":
			problems = append(problems, problem("command", name, "a command is no variable: want it after --, or as command = [...] in the file"))
		case s == nil || name != s.variable():
			problems = append(problems, problem(key, name, "unknown variable%s", didYouMean(name, variables(), plain)))
		default:
			l[key] = environmentEntries(s, text)
		}
	}
	slices.SortFunc(problems, func(a, b *master.Problem) int { return strings.Compare(a.Where, b.Where) })
	return l, problems
}

func environmentEntries(s *setting, text string) []entry {
	texts := []string{text}
	switch {
	case s.key == "env":
		texts = strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
	case s.form == list || s.form == named:
		texts = strings.Fields(text)
	}
	entries := []entry{}
	for _, t := range texts {
		entries = append(entries, entry{t, s.variable()})
	}
	return entries
}

func plain(name string) string { return name }

// variables are the names of all variables that configure run.
func variables() []string {
	names := []string{envPrefix + "CONFIG"}
	for _, s := range settings {
		names = append(names, s.variable())
	}
	return names
}

// apply puts the settings of the layers, strongest first, into the config.
func apply(c *master.Config, layers ...layer) []*master.Problem {
	var problems []*master.Problem
	for _, s := range settings {
		for _, e := range s.entries(layers) {
			if err := s.parse(c, e.text); err != nil {
				problems = append(problems, problem(s.key, e.where, "%s%v", s.prefix(e.where), err))
				continue
			}
			c.Where[s.key] = e.where
			if s.form == named {
				name, _, _ := strings.Cut(e.text, "=")
				c.Where[s.key+"."+name] = e.where
			}
		}
	}
	return problems
}

// entries gives what counts of all that the layers say about a setting, in the
// order in which it is parsed.
func (s *setting) entries(layers []layer) []entry {
	switch s.form {
	case named:
		return s.merged(layers)
	case list:
		for _, l := range layers {
			if e := l[s.key]; e != nil {
				return e
			}
		}
	default:
		for _, l := range layers {
			if e := l[s.key]; len(e) > 0 {
				return e[len(e)-1:]
			}
		}
	}
	return nil
}

// merged joins NAME=VALUE entries of all layers: a name that several give has
// the text of the strongest, the last where one layer gives it twice. The
// order is that of the first sight, weakest layer first.
func (s *setting) merged(layers []layer) []entry {
	var order []string
	byName := map[string]entry{}
	for _, l := range slices.Backward(layers) {
		for _, e := range l[s.key] {
			name, _, _ := strings.Cut(e.text, "=")
			if _, seen := byName[name]; !seen {
				order = append(order, name)
			}
			byName[name] = e
		}
	}
	entries := []entry{}
	for _, name := range order {
		entries = append(entries, byName[name])
	}
	return entries
}

// prefix names the key where the place does not: a line of the file.
func (s *setting) prefix(where string) string {
	if inFile(where) {
		return s.key + ": "
	}
	return ""
}
