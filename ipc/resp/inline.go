package resp

// split finds the words of a line as Redis does: "double quotes" with escapes
// \n \r \t \b \a \xHH, 'single quotes' with \' alone. It says false when quotes
// are not closed, or not followed by a space.
func (p *parser) split(line []byte) bool {
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return true
		}
		from := len(p.words)
		end, ok := p.word(line, i)
		if !ok {
			return false
		}
		i = end
		p.spans = append(p.spans, span{int32(from), int32(len(p.words))})
	}
}

// word appends one word and says where it ends.
func (p *parser) word(line []byte, i int) (end int, ok bool) {
	quote := byte(0)
	for ; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == 0 && isSpace(c):
			return i, true
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0:
			p.words = append(p.words, c)
		case c == quote:
			if i+1 < len(line) && !isSpace(line[i+1]) {
				return 0, false
			}
			return i + 1, true
		case c == '\\' && quote == '\'' && i+1 < len(line) && line[i+1] == '\'':
			i++
			p.words = append(p.words, '\'')
		case c == '\\' && quote == '"' && i+1 < len(line):
			var value byte
			value, i = escaped(line, i+1)
			p.words = append(p.words, value)
		default:
			p.words = append(p.words, c)
		}
	}
	return i, quote == 0
}

// escaped reads what follows a backslash at line[i], and gives the index of its
// last byte.
func escaped(line []byte, i int) (value byte, last int) {
	switch c := line[i]; c {
	case 'x':
		if i+2 < len(line) {
			high, ok1 := hexDigit(line[i+1])
			low, ok2 := hexDigit(line[i+2])
			if ok1 && ok2 {
				return high<<4 | low, i + 2
			}
		}
		return c, i
	case 'n':
		return '\n', i
	case 'r':
		return '\r', i
	case 't':
		return '\t', i
	case 'b':
		return '\b', i
	case 'a':
		return '\a', i
	default:
		return c, i
	}
}

func hexDigit(c byte) (value byte, ok bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// isSpace is C's isspace.
func isSpace(c byte) bool { return c == ' ' || (c >= '\t' && c <= '\r') }
