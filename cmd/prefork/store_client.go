package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"
	"time"

	"prefork/ipc/store"
)

// storeClient is the store of a pool, or a Redis server, as a client sees it.
// It is a snapshot.Source and a snapshot.Target. One goroutine uses it.
type storeClient struct {
	dial func(context.Context) (*wire, error)
	wire *wire

	prefix  string // of all keys on the server: nobody sees it here
	pattern string // what Scan gives: keys that match; "": all
}

// checkTimeout bounds the wait for a check of the whole store.
const checkTimeout = 5 * time.Minute

// do makes commands that may be made twice: when the connection breaks, as it
// does when the store helper is killed, they are made again on another.
func (c *storeClient) do(ctx context.Context, timeout time.Duration, commands ...[]string) ([]any, error) {
	fresh := c.wire == nil
	replies, err := c.once(ctx, timeout, commands...)
	if err != nil && !fresh && isBroken(err) {
		return c.once(ctx, timeout, commands...)
	}
	return replies, err
}

// once makes commands one time.
func (c *storeClient) once(ctx context.Context, timeout time.Duration, commands ...[]string) ([]any, error) {
	if c.wire == nil {
		w, err := c.dial(ctx)
		if err != nil {
			return nil, err
		}
		c.wire = w
	}
	replies, err := c.wire.roundTrip(ctx, timeout, commands...)
	if err != nil {
		_ = c.Close()
	}
	return replies, err
}

func isBroken(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// Close ends the connection; the next command makes one.
func (c *storeClient) Close() error {
	if c.wire == nil {
		return nil
	}
	w := c.wire
	c.wire = nil
	return w.conn.Close()
}

// Get gives an entry; its version is not known. It is not one look but two, at
// value and expiry.
func (c *storeClient) Get(ctx context.Context, key string) (store.Entry, bool, error) {
	all, err := c.getAll(ctx, []string{key})
	if err != nil {
		return store.Entry{}, false, err
	}
	return all[0].Entry, all[0].found, all[0].err
}

// getAtOnce is how many entries are asked for in one go: their values, of 1 MiB
// each at most, are fewer bytes than a store keeps for one client.
const getAtOnce = 16

// looked is what one look at a key has given.
type looked struct {
	store.Entry
	found bool
	err   error // the server's
}

// getAll looks at up to getAtOnce keys in one go.
func (c *storeClient) getAll(ctx context.Context, keys []string) ([]looked, error) {
	commands := make([][]string, 0, 2*len(keys))
	for _, key := range keys {
		commands = append(commands, []string{"GET", c.prefix + key}, []string{"PTTL", c.prefix + key})
	}
	replies, err := c.do(ctx, answerTimeout, commands...)
	if err != nil {
		return nil, err
	}
	all := make([]looked, len(keys))
	for i := range all {
		all[i].Entry, all[i].found, all[i].err = asEntry(replies[2*i], replies[2*i+1])
	}
	return all, nil
}

// asEntry makes an entry of the replies to GET and PTTL.
func asEntry(got, ttl any) (store.Entry, bool, error) {
	switch value := got.(type) {
	case nil:
		return store.Entry{}, false, nil
	case wireError:
		return store.Entry{}, false, asStore(value)
	case []byte:
		left, err := asNumber(ttl)
		if err != nil || left == gone {
			return store.Entry{}, false, err
		}
		e := store.Entry{Value: value}
		if left >= 0 {
			e.TTL = max(time.Duration(left)*time.Millisecond, 1)
		}
		return e, true, nil
	}
	return store.Entry{}, false, unexpected(got)
}

// gone is what PTTL says of a key that is not there.
const gone = -2

// Set writes an entry; of w it knows the TTL alone.
func (c *storeClient) Set(ctx context.Context, key string, value []byte, w store.Write) (uint64, error) {
	command := []string{"SET", c.prefix + key, string(value)}
	if w.TTL > 0 {
		ms := max(w.TTL.Milliseconds(), 1)
		command = append(command, "PX", strconv.FormatInt(ms, 10))
	}
	replies, err := c.do(ctx, answerTimeout, command)
	if err != nil {
		return 0, err
	}
	switch r := replies[0].(type) {
	case string:
		return 0, nil
	case wireError:
		return 0, asStore(r)
	}
	return 0, unexpected(replies[0])
}

// Delete says whether there was an entry.
func (c *storeClient) Delete(ctx context.Context, key string) (bool, error) {
	replies, err := c.once(ctx, answerTimeout, []string{"DEL", c.prefix + key})
	if err != nil {
		return false, err
	}
	n, err := asNumber(replies[0])
	return n > 0, err
}

// Scan gives the keys of texts: a Redis server may have lists and hashes, too,
// and locks of package redis are such.
func (c *storeClient) Scan(ctx context.Context, cursor uint64, count int) ([]string, uint64, error) {
	command := []string{"SCAN", strconv.FormatUint(cursor, 10), "COUNT", strconv.Itoa(count), "TYPE", "string"}
	if c.pattern != "" || c.prefix != "" {
		command = append(command, "MATCH", globEscape.Replace(c.prefix)+orElse(c.pattern, "*"))
	}
	replies, err := c.do(ctx, answerTimeout, command)
	if err != nil {
		return nil, 0, err
	}
	if e, ok := replies[0].(wireError); ok {
		return nil, 0, asStore(e)
	}
	pair, _ := replies[0].([]any)
	if len(pair) != 2 {
		return nil, 0, unexpected(replies[0])
	}
	next, err := strconv.ParseUint(asText(pair[0]), 10, 64)
	list, ok := pair[1].([]any)
	if err != nil || !ok {
		return nil, 0, unexpected(pair[0])
	}
	keys := make([]string, len(list))
	for i, k := range list {
		keys[i] = strings.TrimPrefix(asText(k), c.prefix)
	}
	return keys, next, nil
}

// globEscape makes MATCH take a prefix by its letters.
var globEscape = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// Add adds to a counter and gives its new value. It is made once: made again
// it could count twice.
func (c *storeClient) Add(ctx context.Context, key string, delta int64) (int64, error) {
	replies, err := c.once(ctx, answerTimeout, []string{"INCRBY", c.prefix + key, strconv.FormatInt(delta, 10)})
	if err != nil {
		return 0, err
	}
	return asNumber(replies[0])
}

// figures makes a command that is answered with names and numbers.
func (c *storeClient) figures(ctx context.Context, command ...string) (map[string]int64, error) {
	replies, err := c.do(ctx, answerTimeout, command)
	if err != nil {
		return nil, err
	}
	if e, ok := replies[0].(wireError); ok {
		return nil, asStore(e)
	}
	list, ok := replies[0].([]any)
	if !ok || len(list)%2 != 0 {
		return nil, unexpected(replies[0])
	}
	all := make(map[string]int64, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		if all[asText(list[i])], err = asNumber(list[i+1]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// text makes a command that is answered with a text.
func (c *storeClient) text(ctx context.Context, timeout time.Duration, command ...string) (string, error) {
	replies, err := c.do(ctx, timeout, command)
	if err != nil {
		return "", err
	}
	switch r := replies[0].(type) {
	case wireError:
		return "", asStore(r)
	case []byte, string:
		return asText(r), nil
	}
	return "", unexpected(replies[0])
}

// asStore gives an error of the server the meaning that it has for a store.
func asStore(e wireError) error {
	switch e.kind() {
	case "MOVED", "ASK":
		return fmt.Errorf("%w: the server is one of a cluster: redis-cli -c asks all of them", e)
	case "BUSY":
		return fmt.Errorf("%w: %w", store.ErrBusy, e)
	case "OOM":
		return fmt.Errorf("%w: %w", store.ErrFull, e)
	}
	return e
}

func asText(reply any) string {
	switch r := reply.(type) {
	case []byte:
		return string(r)
	case string:
		return r
	}
	return ""
}

func asNumber(reply any) (int64, error) {
	switch r := reply.(type) {
	case int64:
		return r, nil
	case wireError:
		return 0, asStore(r)
	}
	return 0, unexpected(reply)
}

func unexpected(reply any) error {
	return fmt.Errorf("%w: %T where it was not expected", errReply, reply)
}
