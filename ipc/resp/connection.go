package resp

import (
	"crypto/sha256"
	"crypto/subtle"
	"strconv"
	"time"
)

// redisVersion is the Redis whose replies these are, and what clients that ask
// for a version are told.
const redisVersion = "7.0.15"

func (s *server) ping(_ *client, a [][]byte) {
	switch len(a) {
	case 1:
		s.r.simple("PONG")
	case 2:
		s.r.bulk(a[1])
	default:
		s.r.error("ERR wrong number of arguments for 'ping' command")
	}
}

func (s *server) echo(_ *client, a [][]byte) { s.r.bulk(a[1]) }

func (s *server) quit(c *client, _ [][]byte) {
	s.r.ok()
	c.closing = true
}

// browse ends a connection that a web page was made to open.
func (s *server) browse(c *client, _ [][]byte) { c.fault(string(crossProtocol)) }

func (s *server) reset(c *client, _ [][]byte) {
	c.name, c.three, c.mute = "", false, speak
	s.r.three = false
	s.restrict(c, s.o.Password != "")
	s.r.simple("RESET")
}

func (s *server) selectCommand(_ *client, a [][]byte) {
	n, ok := s.integer(a[1])
	switch {
	case !ok:
	case n != 0:
		s.r.error("ERR DB index is out of range")
	default:
		s.r.ok()
	}
}

func (s *server) time(*client, [][]byte) {
	now := time.Now()
	s.r.array(2)
	s.r.text(strconv.FormatInt(now.Unix(), 10))
	s.r.text(strconv.Itoa(now.Nanosecond() / 1000))
}

const errWrongPass = "WRONGPASS invalid username-password pair or user is disabled."

func (s *server) auth(c *client, a [][]byte) {
	switch {
	case len(a) > 3:
		s.r.error(errSyntax)
	case len(a) == 2 && s.o.Password == "":
		s.r.error("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
	case len(a) == 2 && s.admit(c, []byte("default"), a[1]), len(a) == 3 && s.admit(c, a[1], a[2]):
		s.r.ok()
	default:
		s.r.error(errWrongPass)
	}
}

// admit looks at a user and a password, in a time that does not tell what is
// wrong with them. Without a password everybody is the default user.
func (s *server) admit(c *client, user, password []byte) bool {
	want, got := sha256.Sum256([]byte(s.o.Password)), sha256.Sum256(password)
	right := subtle.ConstantTimeCompare(want[:], got[:]) == 1 || s.o.Password == ""
	if !right || string(user) != "default" {
		return false
	}
	s.restrict(c, false)
	return true
}

func (s *server) hello(c *client, a [][]byte) {
	version := int64(2)
	if c.three {
		version = 3
	}
	if len(a) > 1 {
		var ok bool
		if version, ok = integer(a[1]); !ok {
			s.r.error("ERR Protocol version is not an integer or out of range")
			return
		}
		if version < 2 || version > 3 {
			s.r.error("NOPROTO unsupported protocol version")
			return
		}
	}
	var name []byte
	for i := 2; i < len(a); i++ {
		switch {
		case is(a[i], "auth") && i+2 < len(a):
			if !s.admit(c, a[i+1], a[i+2]) {
				s.r.error(errWrongPass)
				return
			}
			i += 2
		case is(a[i], "setname") && i+1 < len(a):
			if name = a[i+1]; !plain(name) {
				s.r.error(errName)
				return
			}
			i++
		default:
			s.r.error("ERR Syntax error in HELLO option '" + string(cut(a[i], 128)) + "'")
			return
		}
	}
	if c.guest {
		s.r.error("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
		return
	}
	if name != nil {
		c.name = string(name)
	}
	c.three = version == 3
	s.r.three = c.three
	s.r.pairs(7)
	s.r.text("server")
	s.r.text("redis")
	s.r.text("version")
	s.r.text(redisVersion)
	s.r.text("proto")
	s.r.int(version)
	s.r.text("id")
	s.r.int(c.id)
	s.r.text("mode")
	s.r.text("standalone")
	s.r.text("role")
	s.r.text("master")
	s.r.text("modules")
	s.r.array(0)
}
