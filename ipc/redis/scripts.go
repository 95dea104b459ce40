package redis

import (
	"crypto/sha1"
	"encoding/hex"
)

// script is a Lua script and its name on the server.
type script struct{ text, hash string }

func newScript(text string) *script {
	sum := sha1.Sum([]byte(text))
	return &script{text, hex.EncodeToString(sum[:])}
}

// now is the server's clock, for all leases: clocks of machines differ.
const now = `
local t = redis.call('TIME')
local ms = t[1] * 1000 + math.floor(t[2] / 1000)
`

// version is that of a value: versionOf says the same in Go.
const version = `
local function version(v) return string.sub(redis.sha1hex(v), 1, 16) end
`

var (
	// KEYS: key. ARGV: most bytes. Gives value and ms left, or the length of
	// what is too large, or nothing.
	scriptGet = newScript(`
local n = redis.call('STRLEN', KEYS[1])
if n > tonumber(ARGV[1]) then return {n} end
local v = redis.call('GET', KEYS[1])
if not v then return {} end
return {v, redis.call('PTTL', KEYS[1])}
`)

	// KEYS: key, and the lock's when a token is asked for. ARGV: value,
	// condition, version, number of the token, what to write with: 'PX' and
	// ms, 'KEEPTTL', 'NONE', or 'DEL'. Gives 0 written, 1 conflict, 2 fenced.
	scriptSet = newScript(now + version + `
if KEYS[2] then
  local till = redis.call('ZSCORE', KEYS[2], ARGV[4])
  if not till or tonumber(till) <= ms then return 2 end
end
local cond = ARGV[2]
if cond == 'version' then
  local v = redis.call('GET', KEYS[1])
  if not v or version(v) ~= ARGV[3] then return 1 end
elseif cond ~= 'always' then
  if (redis.call('EXISTS', KEYS[1]) == 1) ~= (cond == 'present') then return 1 end
end
if ARGV[5] == 'DEL' then redis.call('DEL', KEYS[1])
elseif ARGV[5] == 'PX' then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[6])
elseif ARGV[5] == 'KEEPTTL' then redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
else redis.call('SET', KEYS[1], ARGV[1]) end
return 0
`)

	// KEYS: key. ARGV: version. Gives 0 deleted, 1 conflict, 2 nothing there.
	scriptDelete = newScript(version + `
local v = redis.call('GET', KEYS[1])
if not v then return 2 end
if version(v) ~= ARGV[1] then return 1 end
redis.call('DEL', KEYS[1])
return 0
`)

	// KEYS: key. PERSIST alone does not say whether there is one.
	scriptPersist = newScript(`
redis.call('PERSIST', KEYS[1])
return redis.call('EXISTS', KEYS[1])
`)

	// KEYS: the lock's. ARGV: places, ms of lease, ms for which the newest
	// number is remembered after the last lease. Gives the number, or 0 and
	// the ms until the first lease ends.
	//
	// The number is the server's time in µs, or one more than the last one of
	// this name. So it grows even if the last one is forgotten, or was lost in
	// a failover. It stays below 2^53, where Lua's numbers are exact, until
	// the year 2255.
	scriptTake = newScript(now + `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms)
local last = redis.call('ZSCORE', KEYS[1], '#')
local held = redis.call('ZCARD', KEYS[1])
if last then held = held - 1 end
if held >= tonumber(ARGV[1]) then
  local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  return {0, tonumber(first[2]) - ms}
end
local n = math.max(t[1] * 1000000 + t[2], (tonumber(last) or 0) + 1)
local text = string.format('%.0f', n)
redis.call('ZADD', KEYS[1], ms + tonumber(ARGV[2]), text, text, '#')
local keep = ARGV[2] + ARGV[3]
if redis.call('PTTL', KEYS[1]) < keep then redis.call('PEXPIRE', KEYS[1], keep) end
return {n, 0}
`)

	// KEYS: the lock's. ARGV: number. Gives whether it was held.
	scriptGive = newScript(now + `
local till = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not till or tonumber(till) <= ms then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
`)

	// KEYS: the lock's. ARGV: number, ms of lease, as in scriptTake. Gives
	// whether it was held.
	scriptRenew = newScript(now + `
local till = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not till or tonumber(till) <= ms then return 0 end
redis.call('ZADD', KEYS[1], ms + tonumber(ARGV[2]), ARGV[1])
local keep = ARGV[2] + ARGV[3]
if redis.call('PTTL', KEYS[1]) < keep then redis.call('PEXPIRE', KEYS[1], keep) end
return 1
`)

	// KEYS: the epochs'. ARGV: name, most names. Gives its value, -1 when there is no
	// room for it.
	scriptEpoch = newScript(`
local v = redis.call('HGET', KEYS[1], ARGV[1])
if v then return tonumber(v) end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[2]) then return -1 end
redis.call('HSET', KEYS[1], ARGV[1], 0)
return 0
`)
)
