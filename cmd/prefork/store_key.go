package main

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// showKey writes a key so that it fits a line of a terminal and readKey gives
// the key back: as it is where that can be read, else as a Go string in quotes.
// Keys may hold any bytes; those of sessions are hashes.
func showKey(key string) string {
	if isPlain(key) {
		return key
	}
	return strconv.Quote(key)
}

func isPlain(key string) bool {
	if key == "" || key[0] == '"' || strings.TrimSpace(key) != key || !utf8.ValidString(key) {
		return false
	}
	for _, r := range key {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// readKey takes a key as a person gives it: as it is, or in quotes.
func readKey(text string) (string, error) {
	if !strings.HasPrefix(text, `"`) {
		return text, nil
	}
	key, err := strconv.Unquote(text)
	if err != nil {
		return "", usage(`a key in quotes is a Go string, as prefork store list shows it: "\x00\xff"`, "key %s: does not end like a text in quotes", text)
	}
	return key, nil
}
