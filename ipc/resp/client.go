package resp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	errName    = "ERR Client names cannot contain spaces, newlines or special characters."
	maxNameLen = 256 // a name is kept for as long as its client
)

// plain says whether a name may be shown in a line of words.
func plain(name []byte) bool {
	for _, c := range name {
		if c < '!' || c > '~' {
			return false
		}
	}
	return len(name) <= maxNameLen
}

func (s *server) clientSetname(c *client, a [][]byte) {
	if !plain(a[2]) {
		s.r.error(errName)
		return
	}
	c.name = string(a[2])
	s.r.ok()
}

func (s *server) clientGetname(c *client, _ [][]byte) {
	if c.name == "" {
		s.r.null()
		return
	}
	s.r.text(c.name)
}

func (s *server) clientID(c *client, _ [][]byte) { s.r.int(c.id) }

func (s *server) clientSetinfo(c *client, a [][]byte) {
	option := ""
	switch {
	case is(a[2], "lib-name"):
		option = "lib-name"
	case is(a[2], "lib-ver"):
		option = "lib-ver"
	default:
		s.r.error("ERR Unrecognized option '" + string(cut(a[2], 128)) + "'")
		return
	}
	if !plain(a[3]) {
		s.r.error("ERR " + option + " cannot contain spaces, newlines or special characters.")
		return
	}
	if option == "lib-name" {
		c.lib = string(a[3])
	} else {
		c.libVer = string(a[3])
	}
	s.r.ok()
}

func (s *server) clientInfo(c *client, _ [][]byte) { s.r.verbatim(s.describe(c) + "\n") }

func (s *server) clientList(_ *client, a [][]byte) {
	var only []int64
	wanted := true
	switch {
	case len(a) == 2:
	case len(a) == 4 && is(a[2], "type"):
		switch strings.ToLower(string(cut(a[3], 32))) {
		case "normal":
		case "master", "replica", "slave", "pubsub":
			wanted = false
		default:
			s.r.error("ERR Unknown client type '" + string(cut(a[3], 128)) + "'")
			return
		}
	case len(a) > 3 && is(a[2], "id"):
		for _, arg := range a[3:] {
			id, ok := integer(arg)
			if !ok {
				s.r.error("ERR Invalid client ID")
				return
			}
			only = append(only, id)
		}
	default:
		s.r.error(errSyntax)
		return
	}
	var list strings.Builder
	for _, id := range slices.Sorted(maps.Keys(s.clients)) {
		if wanted && (only == nil || slices.Contains(only, id)) {
			list.WriteString(s.describe(s.clients[id]))
			list.WriteByte('\n')
		}
	}
	s.r.verbatim(list.String())
}

// describe is a client's line in CLIENT LIST, as far as it can be told here.
func (s *server) describe(c *client) string {
	version := 2
	if c.three {
		version = 3
	}
	now := time.Now()
	return fmt.Sprintf("id=%d addr=unix:0 laddr=unix:0 fd=%d name=%s age=%d idle=%d flags=U db=0 sub=0 psub=0 multi=-1 qbuf=%d omem=%d cmd=%s user=default redir=-1 resp=%d lib-name=%s lib-ver=%s",
		c.id, c.fd, c.name, int(now.Sub(c.since).Seconds()), int(now.Sub(c.last).Seconds()), c.input, c.waiting, c.command, version, c.lib, c.libVer)
}

// clientNo is CLIENT NO-EVICT and NO-TOUCH, which change nothing here.
func (s *server) clientNo(_ *client, a [][]byte) {
	if !is(a[2], "on") && !is(a[2], "off") {
		s.r.error(errSyntax)
		return
	}
	s.r.ok()
}

func (s *server) clientReply(c *client, a [][]byte) {
	switch {
	case is(a[2], "on"):
		c.mute = speak
		s.r.ok()
	case is(a[2], "off"):
		c.mute = muteAll
	case is(a[2], "skip"):
		if c.mute != muteAll {
			c.mute = muteNext
		}
	default:
		s.r.error(errSyntax)
	}
}
