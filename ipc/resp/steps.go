package resp

// each does something for each group of so many arguments, and then ends; it
// stops where one says false, and has answered. With many arguments it takes
// several turns.
func (s *server) each(c *client, a [][]byte, group int, one func(part [][]byte) bool, end func()) {
	i := 0
	some := func(until, output int) (done bool) {
		s.waited = false
		for ; i < until && len(s.r.b) < output && !s.waited; i += group {
			if !one(a[i : i+group]) {
				return true
			}
		}
		if i < len(a) {
			return false
		}
		end()
		return true
	}
	if len(a) <= turnKeys {
		some(len(a), len(s.r.b)+s.o.MaxOutput)
		if i < len(a) && len(s.r.b) >= s.o.MaxOutput {
			c.fault("replies that nobody read")
		}
		return
	}
	a = s.hold(c, a)
	c.step = func() (done bool) { return some(min(i+turnKeys/group*group, len(a)), len(s.r.b)+turnOutput) }
}

// hold copies arguments, so that they stay while others have their turns.
func (s *server) hold(c *client, a [][]byte) [][]byte {
	const slice = 24 // of a []byte
	for _, arg := range a {
		c.held += len(arg) + slice
	}
	s.memory += int64(c.held)
	text := make([]byte, 0, c.held-len(a)*slice)
	all := make([][]byte, len(a))
	for i, arg := range a {
		from := len(text)
		text = append(text, arg...)
		all[i] = text[from:]
	}
	return all
}

// letGo ends the steps of a command.
func (s *server) letGo(c *client) {
	s.memory -= int64(c.held)
	c.step, c.held, c.parked = nil, 0, false
}
