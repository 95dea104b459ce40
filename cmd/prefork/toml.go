package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"prefork/master"
)

// fileLayer reads the config file into a layer, and its command. The places
// in it are FILE:LINE.
func fileLayer(path string) (layer, []*master.Problem) {
	data, err := readConfig(path)
	if err != nil {
		return nil, []*master.Problem{fileProblem(path, err)}
	}
	return parseFile(path, data)
}

func fileProblem(path string, err error) *master.Problem {
	var at *lineError
	if errors.As(err, &at) {
		return problem("config", fmt.Sprintf("%s:%d", path, at.line), "%v", at.err)
	}
	return problem("config", path, "%v", err)
}

// parseFile takes a TOML document apart. It never panics, whatever the bytes.
func parseFile(path string, data []byte) (layer, []*master.Problem) {
	var document map[string]any
	if err := toml.Unmarshal(data, &document); err != nil {
		return nil, []*master.Problem{syntaxProblem(path, err)}
	}
	r := fileReader{path: path, lines: keyLines(data), layer: layer{}}
	for _, key := range slices.SortedFunc(maps.Keys(document), r.byLine) {
		r.key(key, document[key])
	}
	return r.layer, r.problems
}

func syntaxProblem(path string, err error) *master.Problem {
	var at *toml.DecodeError
	if errors.As(err, &at) {
		line, column := at.Position()
		return problem("config", fmt.Sprintf("%s:%d:%d", path, line, column), "%s", strings.TrimPrefix(at.Error(), "toml: "))
	}
	return problem("config", path, "%s", strings.TrimPrefix(err.Error(), "toml: "))
}

// keyLines gives the line of each key, dotted. A strict decode into a struct
// that has no field reports every key as missing, with its position: the only
// way to positions in the library's stable interface. Structs for the two
// tables make it look into them; where one is not a table that decode fails,
// and the other shapes are tried.
func keyLines(data []byte) map[string]int {
	lines := map[string]int{}
	for _, target := range []any{
		&struct{}{},
		&struct {
			Env struct{} `toml:"env"`
		}{},
		&struct {
			Rlimit struct{} `toml:"rlimit"`
		}{},
	} {
		err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(target)
		var missing *toml.StrictMissingError
		if !errors.As(err, &missing) {
			continue
		}
		for _, e := range missing.Errors {
			line, _ := e.Position()
			key := strings.Join(e.Key(), ".")
			if _, seen := lines[key]; !seen {
				lines[key] = line
			}
			if top := e.Key()[0]; lines[top] == 0 {
				lines[top] = line // a table that only its dotted keys name
			}
		}
	}
	return lines
}

type fileReader struct {
	path     string
	lines    map[string]int
	layer    layer
	problems []*master.Problem
}

// where names the place of a key. One whose line is not known (the inside of
// an inline table) has that of the table.
func (r *fileReader) where(key, inside string) string {
	line := r.lines[key]
	if n := r.lines[key+"."+inside]; inside != "" && n > 0 {
		line = n
	}
	return r.path + ":" + strconv.Itoa(max(1, line))
}

func (r *fileReader) byLine(a, b string) int {
	if n := r.lines[a] - r.lines[b]; n != 0 {
		return n
	}
	return strings.Compare(a, b)
}

func (r *fileReader) fail(key, where, format string, args ...any) {
	r.problems = append(r.problems, problem(key, where, "%s: %s", key, fmt.Sprintf(format, args...)))
}

func (r *fileReader) key(key string, v any) {
	where := r.where(key, "")
	s := settingOf(key)
	switch {
	case key == "command":
		r.list(key, v, where)
	case s == nil:
		r.problems = append(r.problems, problem(key, where, "unknown key %q%s", key, didYouMean(strings.ReplaceAll(key, "-", "_"), fileKeys(), strconv.Quote)))
	case s.form == list:
		r.list(key, v, where)
	case s.form == named:
		r.named(s, v, where)
	default:
		if text, ok := r.scalar(s, v, where); ok {
			r.layer[key] = []entry{{text, where}}
		}
	}
}

// fileKeys are all keys that the file may have.
func fileKeys() []string {
	keys := []string{"command"}
	for _, s := range settings {
		keys = append(keys, s.key)
	}
	return keys
}

// list takes an array of strings.
func (r *fileReader) list(key string, v any, where string) {
	array, ok := v.([]any)
	if !ok {
		r.fail(key, where, "is %s: want a list of strings, for example %s", kind(v), listExample(key))
		return
	}
	entries := []entry{}
	for i, item := range array {
		text, ok := item.(string)
		if !ok {
			r.fail(key, where, "item %d is %s: want a string in quotes", i+1, kind(item))
			return
		}
		entries = append(entries, entry{text, where})
	}
	r.layer[key] = entries
}

func listExample(key string) string {
	if key == "command" {
		return `["./app", "--flag"]`
	}
	return `[":8080"]`
}

// named takes a table of NAME = VALUE; limits also an array of NAME=VALUE.
func (r *fileReader) named(s *setting, v any, where string) {
	if _, array := v.([]any); array && s.key == "rlimit" {
		r.list(s.key, v, where)
		return
	}
	table, ok := v.(map[string]any)
	if !ok {
		r.fail(s.key, where, "is %s: want a table, [%s]", kind(v), s.key)
		return
	}
	names := slices.SortedFunc(maps.Keys(table), func(a, b string) int { return r.byLine(s.key+"."+a, s.key+"."+b) })
	for _, name := range names {
		at := r.where(s.key, name)
		if name == "" || strings.Contains(name, "=") {
			r.fail(s.key, at, "%q is no name: want one without =", name)
			continue
		}
		switch value := table[name].(type) {
		case string:
			r.layer[s.key] = append(r.layer[s.key], entry{name + "=" + value, at})
		case int64:
			r.layer[s.key] = append(r.layer[s.key], entry{name + "=" + strconv.FormatInt(value, 10), at})
		default:
			r.fail(s.key+"."+name, at, "is %s: want a string in quotes", kind(value))
		}
	}
}

// scalar gives the text of a single value, the one that a flag would have.
func (r *fileReader) scalar(s *setting, v any, where string) (string, bool) {
	switch value := v.(type) {
	case string:
		if s.form == flip {
			r.fail(s.key, where, "%q is a string: want true or false, without quotes", value)
			return "", false
		}
		return value, true
	case bool:
		if s.form == flip {
			return strconv.FormatBool(value), true
		}
	case int64:
		// 0 is the one time span that needs no unit.
		if s.number || s.arg == "DUR" {
			return strconv.FormatInt(value, 10), true
		}
	}
	r.fail(s.key, where, "is %s: want %s", kind(v), s.wanted())
	return "", false
}

func (s *setting) wanted() string {
	switch {
	case s.form == flip:
		return "true or false"
	case s.number && s.arg == "N":
		return "a number"
	case s.number:
		return "a number or a string in quotes"
	}
	return "a string in quotes"
}

// kind says in a word what a TOML value is.
func kind(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "a number"
	case float64:
		return "a number with a fraction"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}
