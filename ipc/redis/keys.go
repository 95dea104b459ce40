package redis

import "strings"

// What is kept where, for the key or name k with the prefix before it:
//
//	k                        string  a value
//	{k}:prefork-lock         zset    a lock: its holders' numbers, each scored with the end of its lease (ms),
//	                                 and "#", scored with the newest number (µs)
//	{k}:prefork-places       zset    a semaphore, likewise
//	prefix + prefork-epochs  hash    epochs by name
//
// Scan asks for strings only, so that it never gives a lock. A lock's key is
// in the same slot of a cluster as the value of the same name, so that one
// script may see both.
const (
	suffixLock   = ":prefork-lock"
	suffixPlaces = ":prefork-places"
	nameEpochs   = "prefork-epochs"
)

// tag gives the part of a key that decides its slot (Redis cluster
// specification, "Hash tags").
func tag(key string) string {
	if _, after, found := strings.Cut(key, "{"); found {
		if inner, _, found := strings.Cut(after, "}"); found && inner != "" {
			return inner
		}
	}
	return key
}

// beside gives a key of its own in the slot of another. Two keys never share
// one: the endings differ. A key that has a } and no tag, or is empty, cannot
// be put into braces; what is beside it is in some slot.
func beside(key, suffix string) string {
	switch {
	case tag(key) != key:
		return key + suffix + "-t"
	case key == "" || strings.Contains(key, "}"):
		return key + suffix + "-u"
	}
	return "{" + key + "}" + suffix
}

const slots = 16384

// slotOf gives the slot of a key: CRC16 (XMODEM) of its tag.
func slotOf(key string) int {
	crc := uint16(0)
	for _, b := range []byte(tag(key)) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc % slots)
}

// globEscape makes MATCH take a prefix by its letters.
var globEscape = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)
