package resp

import (
	"bytes"
	"strings"
)

func (s *server) commandAll(*client, [][]byte) {
	s.r.array(len(all))
	for _, k := range all {
		s.describeCommand(k)
	}
}

func (s *server) commandCount(*client, [][]byte) { s.r.int(int64(len(all))) }

func (s *server) commandList(_ *client, a [][]byte) {
	if len(a) > 2 { // FILTERBY is for modules and categories
		s.r.error(errSyntax)
		return
	}
	s.r.array(len(all))
	for _, k := range all {
		s.r.text(k.name)
	}
}

func (s *server) commandInfo(c *client, a [][]byte) {
	if len(a) == 2 {
		s.commandAll(c, a)
		return
	}
	s.r.array(len(a) - 2)
	for _, name := range a[2:] {
		if k := byName[string(lower(nil, name))]; k != nil {
			s.describeCommand(k)
		} else {
			s.r.null()
		}
	}
}

// describeCommand is a command in COMMAND: its name, arity, flags, keys,
// categories, and three lists of which only the subcommands are told.
func (s *server) describeCommand(k *command) {
	s.r.array(10)
	s.r.text(k.name)
	s.r.int(int64(k.arity))
	flags := strings.Fields(k.flags)
	s.r.set(len(flags))
	for _, f := range flags {
		s.r.simple(f)
	}
	s.r.int(int64(k.first))
	s.r.int(int64(k.last))
	s.r.int(int64(k.step))
	s.r.set(1)
	s.r.simple("@" + k.group)
	s.r.set(0)
	s.r.set(0)
	s.r.array(len(k.parts))
	for _, part := range k.parts {
		s.describeCommand(part)
	}
}

func (s *server) commandDocs(_ *client, a [][]byte) {
	wanted := all
	if len(a) > 2 {
		wanted = nil
		for _, name := range a[2:] {
			if k := byName[string(lower(nil, bytes.Clone(name)))]; k != nil {
				wanted = append(wanted, k)
			}
		}
	}
	s.r.pairs(len(wanted))
	for _, k := range wanted {
		s.documentCommand(k)
	}
}

// documentCommand is a command in COMMAND DOCS.
func (s *server) documentCommand(k *command) {
	s.r.text(k.name)
	n := 3
	if k.parts != nil {
		n++
	}
	s.r.pairs(n)
	s.r.text("summary")
	s.r.text(k.summary)
	s.r.text("since")
	s.r.text(k.since)
	s.r.text("group")
	s.r.text(k.group)
	if k.parts != nil {
		s.r.text("subcommands")
		s.r.pairs(len(k.parts))
		for _, part := range k.parts {
			s.documentCommand(part)
		}
	}
}
