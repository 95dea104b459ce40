//go:build faults

package faults

import "regexp"

// patternIn reports whether a text has a match.
func patternIn(text, pattern string) bool { return regexp.MustCompile(pattern).MatchString(text) }
