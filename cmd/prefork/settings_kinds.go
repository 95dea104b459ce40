package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"prefork/master"
)

// maxConns is far above any limit on descriptors.
const maxConns = 1 << 30

// value makes a parse function from one that gives a value and the place for it.
func value[T any](at func(*master.Config) *T, parse func(string) (T, error)) func(*master.Config, string) error {
	return func(c *master.Config, text string) error {
		v, err := parse(text)
		if err != nil {
			return err
		}
		*at(c) = v
		return nil
	}
}

var errEmpty = errors.New("is empty: want a value, or leave it out")

// text is the parse function of a plain text.
func text(at func(*master.Config) *string) func(*master.Config, string) error {
	return value(at, func(text string) (string, error) {
		if text == "" {
			return "", errEmpty
		}
		return text, nil
	})
}

func duration(key, def, usage string, at func(*master.Config) *time.Duration) *setting {
	return &setting{
		key: key, arg: "DUR", def: def, usage: usage,
		parse: value(at, master.ParseDuration),
		show:  func(c *master.Config) string { return quote(master.FormatDuration(*at(c))) },
	}
}

func count(key, def, usage string, low, high int, at func(*master.Config) *int) *setting {
	return &setting{
		key: key, arg: "N", def: def, usage: usage, number: true,
		parse: value(at, func(text string) (int, error) { return master.ParseCount(text, low, high) }),
		show:  func(c *master.Config) string { return strconv.Itoa(*at(c)) },
	}
}

func choice(key, def, usage string, choices []string, at func(*master.Config) *string) *setting {
	return &setting{
		key: key, arg: strings.Join(choices, "|"), def: def, usage: usage, choices: choices,
		parse: value(at, func(text string) (string, error) { return master.ParseChoice(text, choices...) }),
		show:  func(c *master.Config) string { return quoteSet(*at(c)) },
	}
}

func parseWorkers(c *master.Config, text string) error {
	if text == "auto" {
		c.Workers = availableCPUs()
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%q is no worker count: want a number such as 4, or auto", text)
	}
	if n < 1 || n > master.MaxWorkers {
		return fmt.Errorf("%d is out of bounds: want 1 to %d, or auto", n, master.MaxWorkers)
	}
	c.Workers = n
	return nil
}

func parseBool(text string) (bool, error) {
	switch text {
	case "true", "1", "yes", "on":
		return true, nil
	case "false", "0", "no", "off":
		return false, nil
	}
	return false, fmt.Errorf("%q is no switch: want true or false", text)
}

// quote writes a TOML basic string: https://toml.io/en/v1.0.0#string.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case !strconv.IsPrint(r):
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func quoteSet(text string) string {
	if text == "" {
		return ""
	}
	return quote(text)
}

func quoteList(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = quote(t)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func showUmask(c *master.Config) string {
	if c.Umask < 0 {
		return ""
	}
	return fmt.Sprintf(`"%04o"`, c.Umask)
}

func showRlimits(c *master.Config) string {
	var texts []string
	for _, r := range c.Rlimits {
		texts = append(texts, r.String())
	}
	return quoteList(texts)
}

func showEnv(c *master.Config) string {
	var pairs []string
	for _, v := range c.Env {
		pairs = append(pairs, quote(v.Key)+" = "+quote(v.Value))
	}
	if len(pairs) == 0 {
		return ""
	}
	return "{ " + strings.Join(pairs, ", ") + " }"
}
