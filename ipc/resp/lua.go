package resp

import "strings"

// tokens cuts a Lua text into words, strings and marks: without comments and
// spaces, strings in one way of quoting, and the name of a Redis command in
// lower case. Two texts with the same tokens do the same. It does not look
// whether the text is right.
func tokens(text string) (all []string) {
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case isSpace(c) || c == ';':
			i++
		case strings.HasPrefix(text[i:], "--"):
			if strings.HasPrefix(text[i:], "--[") { // a comment of several lines is none of ours
				return append(all, text[i:])
			}
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				return all
			}
			i += end
		case c == '"' || c == '\'':
			end := strings.IndexByte(text[i+1:], c)
			if end < 0 {
				return append(all, text[i:])
			}
			word := text[i+1 : i+1+end]
			if callsRedis(all) {
				word = strings.ToLower(word)
			}
			all = append(all, "'"+word+"'")
			i += end + 2
		case isName(c):
			end := i
			for end < len(text) && isName(text[end]) {
				end++
			}
			all = append(all, text[i:end])
			i = end
		default:
			all = append(all, text[i:i+1])
			i++
		}
	}
	return all
}

// callsRedis says whether the next token names a command: redis . call (
func callsRedis(before []string) bool {
	n := len(before)
	return n >= 4 && before[n-1] == "(" && (before[n-2] == "call" || before[n-2] == "pcall") && before[n-3] == "." && before[n-4] == "redis"
}

func isName(c byte) bool {
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
}
