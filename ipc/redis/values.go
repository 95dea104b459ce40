package redis

import (
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"prefork/ipc/store"
)

// versionOf gives the version of a value. 0 means none, so that one value in
// 2^64 has 1 and always fails a compare.
func versionOf(value []byte) uint64 {
	sum := sha1.Sum(value)
	return max(1, binary.BigEndian.Uint64(sum[:]))
}

// millis gives a positive ttl in ms, rounded up: 0 would mean another thing.
func millis(ttl time.Duration) int64 {
	return int64((ttl-1)/time.Millisecond) + 1
}

// fits checks the bounds of either store.
func fits(key string, size int) error {
	if len(key) > store.MaxKey {
		return fmt.Errorf("%w: key of %d bytes (max %d)", store.ErrTooLarge, len(key), store.MaxKey)
	}
	if size > store.MaxValue {
		return fmt.Errorf("%w: value of %d bytes (max %d)", store.ErrTooLarge, size, store.MaxValue)
	}
	return nil
}

// wrap says what was tried.
func wrap(verb, key string, err error) error {
	if err == nil {
		return nil
	}
	if len(key) > 64 {
		key = key[:64] + "..."
	}
	return fmt.Errorf("%s %q: %w", verb, key, err)
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, bool, error) {
	e, found, err := s.get(ctx, key)
	return e, found, wrap("get", key, err)
}

func (s *Store) get(ctx context.Context, key string) (e store.Entry, found bool, err error) {
	if err := fits(key, 0); err != nil {
		return e, false, err
	}
	reply, err := s.script(ctx, scriptGet, []string{s.set.prefix + key}, store.MaxValue)
	if err != nil {
		return e, false, err
	}
	l, _ := reply.([]any)
	switch len(l) {
	case 0:
		if l != nil {
			return e, false, nil
		}
	case 1:
		return e, false, fmt.Errorf("%w: value of %v bytes, written by somebody else (max %d)", store.ErrTooLarge, l[0], store.MaxValue)
	case 2:
		text, isText := l[0].(string)
		left, isNumber := l[1].(int64)
		if isText && isNumber {
			e.Value = []byte(text)
			e.Version = versionOf(e.Value)
			if left >= 0 { // -1: never; 0: less than one; 292 years are the most that a Duration holds
				e.TTL = max(time.Duration(min(left, math.MaxInt64/int64(time.Millisecond)))*time.Millisecond, time.Millisecond)
			}
			return e, true, nil
		}
	}
	return e, false, fmt.Errorf("%w: %T", errAnswer, reply)
}

// Set implements store.Store.
func (s *Store) Set(ctx context.Context, key string, value []byte, w store.Write) (uint64, error) {
	version, err := s.write(ctx, key, value, w)
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrFenced) {
		s.conflicts.Add(1)
	}
	return version, wrap("set", key, err)
}

func (s *Store) write(ctx context.Context, key string, value []byte, w store.Write) (uint64, error) {
	if err := fits(key, len(value)); err != nil {
		return 0, err
	}
	remove := w.TTL < 0 && !w.KeepTTL
	version := versionOf(value)
	if remove {
		version, value = 0, nil
	}
	if w.Token != (store.Token{}) || w.If == store.IfVersion || remove {
		return version, s.writeByScript(ctx, key, value, w, remove)
	}
	args := append(make([]any, 0, 6), "set", s.set.prefix+key, value)
	switch {
	case w.KeepTTL:
		args = append(args, "keepttl")
	case w.TTL > 0:
		args = append(args, "px", millis(w.TTL))
	}
	switch w.If {
	case store.IfAbsent:
		args = append(args, "nx")
	case store.IfPresent:
		args = append(args, "xx")
	}
	reply, err := s.do(ctx, s.set.prefix+key, args...)
	switch {
	case err != nil:
		return 0, err
	case reply == nil:
		return 0, store.ErrConflict
	case reply != "OK":
		return 0, fmt.Errorf("%w: %T", errAnswer, reply)
	}
	return version, nil
}

// conditions are their names in scriptSet.
var conditions = map[store.Condition]string{
	store.Always: "always", store.IfAbsent: "absent", store.IfPresent: "present", store.IfVersion: "version",
}

func (s *Store) writeByScript(ctx context.Context, key string, value []byte, w store.Write, remove bool) error {
	keys := []string{s.set.prefix + key}
	if w.Token != (store.Token{}) {
		if err := fits(w.Token.Name, 0); err != nil {
			return err
		}
		lock := s.lockKey(w.Token.Name, w.Token.Places)
		if s.set.mode == cluster && slotOf(lock) != slotOf(keys[0]) {
			return fmt.Errorf("key %.64q and lock %.64q are in different slots of the cluster (want one name, the same {tag} in both, or prefix={tag})", key, w.Token.Name)
		}
		keys = append(keys, lock)
	}
	how, px := "NONE", int64(0)
	switch {
	case remove:
		how = "DEL"
	case w.KeepTTL:
		how = "KEEPTTL"
	case w.TTL > 0:
		how, px = "PX", millis(w.TTL)
	}
	code, err := number(s.script(ctx, scriptSet, keys, value, conditions[w.If], hexOf(w.Version), decimal(w.Token.Number), how, px))
	switch {
	case err != nil:
		return err
	case code == 1:
		return store.ErrConflict
	case code == 2:
		return store.ErrFenced
	}
	return nil
}

func hexOf(version uint64) string  { return fmt.Sprintf("%016x", version) }
func decimal(number uint64) string { return fmt.Sprintf("%d", number) }

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key string, version uint64) (bool, error) {
	found, err := s.remove(ctx, key, version)
	if errors.Is(err, store.ErrConflict) {
		s.conflicts.Add(1)
	}
	return found, wrap("delete", key, err)
}

func (s *Store) remove(ctx context.Context, key string, version uint64) (bool, error) {
	if err := fits(key, 0); err != nil {
		return false, err
	}
	if version == 0 {
		n, err := number(s.do(ctx, s.set.prefix+key, "del", s.set.prefix+key))
		return n == 1, err
	}
	code, err := number(s.script(ctx, scriptDelete, []string{s.set.prefix + key}, hexOf(version)))
	if err == nil && code == 1 {
		err = store.ErrConflict
	}
	return err == nil && code == 0, err
}

// Touch implements store.Store. A negative ttl deletes.
func (s *Store) Touch(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	err := fits(key, 0)
	var n int64
	if err == nil {
		k := s.set.prefix + key
		switch {
		case ttl < 0:
			n, err = number(s.do(ctx, k, "del", k))
		case ttl == 0:
			n, err = number(s.script(ctx, scriptPersist, []string{k}))
		default:
			n, err = number(s.do(ctx, k, "pexpire", k, millis(ttl)))
		}
	}
	return n == 1, wrap("touch", key, err)
}

// Add implements store.Store.
func (s *Store) Add(ctx context.Context, key string, delta int64) (int64, error) {
	err := fits(key, 0)
	var sum int64
	if err == nil {
		sum, err = number(s.do(ctx, s.set.prefix+key, "incrby", s.set.prefix+key, delta))
	}
	switch {
	case err == nil:
		return sum, nil
	case strings.Contains(err.Error(), "not an integer"), errors.Is(err, errForeign):
		err = fmt.Errorf("%w (%w)", store.ErrNotNumber, err)
	case strings.Contains(err.Error(), "would overflow"):
		err = fmt.Errorf("%w (%w)", store.ErrRange, err)
	}
	return 0, wrap("add to", key, err)
}
