package resp

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"prefork/ipc/store"
)

// preforkStats is the whole of store.Stats, by its own names in lower case with
// underscores: a field that is added there is told here.
func (s *server) preforkStats(*client, [][]byte) {
	st, err := s.store.Stats(s.ctx)
	if err != nil {
		s.failed(err)
		return
	}
	v := reflect.ValueOf(st)
	s.r.pairs(v.NumField())
	for i := range v.NumField() {
		s.r.text(snake(v.Type().Field(i).Name))
		s.r.int(v.Field(i).Int()) // they all are: a test asks for them
	}
}

// snake turns UsedBytes into used_bytes.
func snake(name string) string {
	var b strings.Builder
	for i, c := range name {
		if c >= 'A' && c <= 'Z' && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(c)
	}
	return strings.ToLower(b.String())
}

// checker is a store that can verify itself.
type checker interface {
	Check(ctx context.Context) (store.Report, error)
}

// preforkCheck runs on a goroutine, as it takes milliseconds for each part of
// the store, in which others want their answers.
func (s *server) preforkCheck(c *client, _ [][]byte) {
	k, ok := s.store.(checker)
	if !ok {
		s.failed(fmt.Errorf("check: %w", errors.ErrUnsupported))
		return
	}
	type result struct {
		report store.Report
		err    error
	}
	done := make(chan result, 1)
	go func() {
		report, err := k.Check(s.ctx)
		done <- result{report, err}
	}()
	c.parked = true
	c.step = func() (end bool) {
		select {
		case r := <-done:
			if r.err != nil {
				s.failed(r.err)
			} else {
				s.r.verbatim(r.report.String())
			}
			return true
		default:
			return false
		}
	}
}

func (s *server) preforkVersion(*client, [][]byte) { s.r.text(s.o.Version) }
