package resp

import (
	"bytes"
	"fmt"
	"strings"
)

// command is one row of the table: what COMMAND tells of it, and what runs it.
type command struct {
	name    string // "get", "client|id"
	arity   int    // words, the name's own included; negative: at least so many
	flags   string // of COMMAND, separated by spaces
	first   int    // the first argument that is a key; 0: none
	last    int    // the last one; -1: the last argument
	step    int    // from key to key
	group   string
	since   string // the version of Redis that had it first; "-": not in Redis
	summary string
	run     func(s *server, c *client, a [][]byte)

	parts []*command // its subcommands
}

// byName are the commands, and containers their subcommands.
var byName = map[string]*command{}

// names has them without subcommands.
var names nameTable

// all are the commands in the order of the table, without subcommands.
var all []*command

func init() {
	for i := range table {
		k := &table[i]
		byName[k.name] = k
		if parent, _, isPart := strings.Cut(k.name, "|"); isPart {
			byName[parent].parts = append(byName[parent].parts, k)
		} else {
			all = append(all, k)
			names.add(k)
		}
	}
}

// has says whether a command has a flag.
func (k *command) has(flag string) bool {
	for f := range strings.FieldsSeq(k.flags) {
		if f == flag {
			return true
		}
	}
	return false
}

// find finds the command that the arguments name, and answers when there is
// none that may run.
func (s *server) find(c *client, a [][]byte) *command {
	k := names.find(a[0])
	if k == nil {
		s.unknown(c, a)
		return nil
	}
	if c.refusing {
		s.r.error("ERR not executed: it was sent behind MULTI, and there are no transactions")
		return nil
	}
	if k.parts != nil && len(a) > 1 {
		var buffer [64]byte
		part := byName[string(lower(append(append(buffer[:0], k.name...), '|'), a[1]))]
		if part == nil {
			s.r.error(fmt.Sprintf("ERR unknown subcommand '%s'. Try %s HELP.", cut(a[1], 128), bytes.ToUpper(a[0])))
			return nil
		}
		k = part
	}
	if (k.arity > 0 && len(a) != k.arity) || len(a) < -k.arity {
		s.r.error("ERR wrong number of arguments for '" + k.name + "' command")
		return nil
	}
	if c.guest && !k.has("no_auth") {
		s.r.error(errNoAuth)
		return nil
	}
	return k
}

// refused are commands that a client may well try, with what to do instead.
var refused = map[string]string{
	"multi":   "there are no transactions",
	"exec":    "there are no transactions",
	"discard": "there are no transactions",
	"watch":   "there are no transactions",
	"unwatch": "there are no transactions",
	"msetnx":  "commands on several keys are not atomic here",
}

// unknown answers to a command that is not there, with Redis's words.
func (s *server) unknown(c *client, a [][]byte) {
	name := strings.ToLower(string(cut(a[0], 128)))
	switch name {
	case "multi":
		c.refusing = true
	case "exec", "discard":
		c.refusing = false
	}
	if why, ok := refused[name]; ok {
		s.r.error("ERR " + strings.ToUpper(name) + " is not offered by this store: " + why)
		return
	}
	var args []byte
	for _, arg := range a[1:] {
		if len(args) >= 128 {
			break
		}
		args = fmt.Appendf(args, "'%s' ", cut(arg, 128-len(args)))
	}
	s.r.error(fmt.Sprintf("ERR unknown command '%s', with args beginning with: %s", cut(a[0], 128), args))
}

// cut gives the first n bytes of a text that C would end at a zero byte.
func cut(b []byte, n int) []byte {
	b, _, _ = bytes.Cut(b[:min(n, len(b))], []byte{0})
	return b
}

// lower appends a name in lower case; one too long to be a name is cut.
func lower(to, name []byte) []byte {
	for _, c := range name[:min(len(name), 32)] {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		to = append(to, c)
	}
	return to
}

// is says whether an argument is an option, whatever its case.
func is(arg []byte, option string) bool {
	return len(arg) == len(option) && strings.EqualFold(view(arg), option)
}
