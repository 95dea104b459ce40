package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// texts is a flag that keeps the texts it is given, unread: all sources are
// read in one place.
type texts struct {
	given []string
	kind  string
}

func (t *texts) Set(text string) error {
	t.given = append(t.given, text)
	return nil
}

func (t *texts) String() string { return "" }
func (t *texts) Type() string   { return t.kind }

// settingFlags defines the flags of run on a command and gives the function
// that reads them once they are parsed.
func settingFlags(cmd *cobra.Command) func() layer {
	flags := cmd.Flags()
	flags.SortFlags = false
	// What follows the program's name are its own flags, with or without --.
	flags.SetInterspersed(false)
	values := map[string]*texts{}
	define := func(key, name, short, kind, usage string) *pflag.Flag {
		values[key] = &texts{kind: kind}
		return flags.VarPF(values[key], name, short, usage)
	}
	define("config", "config", "c", "FILE", "TOML file with these flags as keys; read again at a reload")
	for _, s := range settings {
		usage := s.usage + " (default: " + s.def + ")"
		f := define(s.key, s.flag(), s.short, s.arg, usage)
		if s.form == flip {
			f.NoOptDefVal = "true"
			values[s.key].kind = "bool"
		}
		if s.choices != nil {
			must(cmd.RegisterFlagCompletionFunc(s.flag(), cobra.FixedCompletions(s.choices, cobra.ShellCompDirectiveNoFileComp)))
		}
	}
	must(cmd.MarkFlagFilename("config", "toml"))
	must(cmd.MarkFlagDirname("chdir"))
	return func() layer {
		l := layer{}
		for key, v := range values {
			for _, text := range v.given {
				name := "--config"
				if s := settingOf(key); s != nil {
					name = "--" + s.flag()
				}
				l[key] = append(l[key], entry{text, name})
			}
		}
		return l
	}
}

// must stops on a mistake in this program: a completion for a flag that is not
// defined.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
