package resp

// wholeArgs is how many arguments a command has at most that whole takes: its
// count is one digit.
const wholeArgs = 9

// whole is parser.next and parser.args in one pass, over a command that is
// there from its first byte to its last and is as plain as nearly all are. It
// appends the arguments to argv and gives the length of the command. 0: it is
// the parser's, which looks at it from its first byte on and has the words for
// what is wrong. What whole takes, the parser takes for the same.
func whole(b []byte, is *bounds, argv [][]byte) (args [][]byte, n int) {
	if len(b) < len("*1\r\n") || b[0] != '*' || b[2] != '\r' || b[3] != '\n' {
		return argv, 0
	}
	left := int(b[1] - '0')
	if left < 1 || left > min(wholeArgs, is.args) {
		return argv, 0
	}
	args, n = argv, len("*1\r\n")
	for ; left > 0; left-- {
		rest := b[n:]
		if len(rest) < len("$1\r\n") || rest[0] != '$' {
			return argv, 0
		}
		size := int(rest[1] - '0')
		if size > 9 {
			return argv, 0
		}
		i := 2
		for ; i < len(rest) && rest[i] != '\r'; i++ {
			digit := int(rest[i] - '0')
			if digit > 9 || size == 0 || size > is.bulk {
				return argv, 0
			}
			size = size*10 + digit
		}
		from := i + len("\r\n")
		end := from + size
		if size > is.bulk || len(rest) < end+len("\r\n") || rest[i+1] != '\n' || rest[end] != '\r' || rest[end+1] != '\n' {
			return argv, 0
		}
		args = append(args, rest[from:end:end])
		n += end + len("\r\n")
	}
	return args, n
}
