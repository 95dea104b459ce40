package resp

// match says whether a key fits a pattern of Redis: * ? [a-z] [^a] and \ before
// a byte that means itself. It goes back only to the last *, so its time is at
// most the product of the lengths.
func match(pattern []byte, key string) bool {
	p, k := 0, 0
	star, from := -1, 0 // the last *, and where in the key it began
	for k < len(key) {
		if p < len(pattern) {
			if pattern[p] == '*' {
				star, from = p, k
				p++
				continue
			}
			if next, ok := matchOne(pattern, p, key[k]); ok {
				p, k = next, k+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		from++
		p, k = star+1, from
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches one byte, and says where the pattern goes on.
func matchOne(pattern []byte, p int, c byte) (next int, ok bool) {
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		return matchSet(pattern, p+1, c)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return p + 1, pattern[p] == c
}

// matchSet matches a set that begins at pattern[p]. One that is not closed ends
// with the pattern, as in Redis.
func matchSet(pattern []byte, p int, c byte) (next int, ok bool) {
	not := p < len(pattern) && pattern[p] == '^'
	if not {
		p++
	}
	for ; p < len(pattern) && pattern[p] != ']'; p++ {
		switch {
		case pattern[p] == '\\' && p+1 < len(pattern):
			p++
			ok = ok || pattern[p] == c
		case p+2 < len(pattern) && pattern[p+1] == '-':
			low, high := pattern[p], pattern[p+2]
			if low > high {
				low, high = high, low
			}
			ok = ok || (c >= low && c <= high)
			p += 2
		default:
			ok = ok || pattern[p] == c
		}
	}
	return min(p+1, len(pattern)), ok != not
}
