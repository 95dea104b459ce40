package session

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// object reads a map, or a value of a type that JSON does not have: an object
// with one member whose name begins with $.
func (p *parser) object() (any, error) {
	var typed any
	m := map[string]any{}
	err := p.members(func(name string) (err error) {
		if strings.HasPrefix(name, "$") {
			if len(m) > 0 || typed != nil {
				return fmt.Errorf("byte %d: %q is not alone (want the map in $map)", p.i, name)
			}
			typed, err = p.typed(name)
			return err
		}
		if _, twice := m[name]; twice || typed != nil {
			return fmt.Errorf("byte %d: key %q twice, or beside a $", p.i, name)
		}
		m[name], err = p.value()
		return err
	})
	if typed != nil {
		return typed, err
	}
	return m, err
}

// typed reads the value of a member whose name begins with $. It is never nil.
func (p *parser) typed(name string) (any, error) {
	switch name {
	case "$map":
		return p.values()
	case "$strings":
		return list(p, p.text)
	case "$time":
		return p.time()
	}
	text, err := p.text()
	if err != nil {
		return nil, err
	}
	var v any
	switch name {
	case "$int64":
		v, err = strconv.ParseInt(text, 10, 64)
	case "$int32":
		var n int64
		n, err = strconv.ParseInt(text, 10, 32)
		v = int32(n)
	case "$bytes":
		v, err = base64.StdEncoding.DecodeString(text)
	default:
		err = errors.New("unknown type")
	}
	if err != nil {
		return nil, fmt.Errorf("byte %d: %s: %w", p.i, name, err)
	}
	return v, nil
}
