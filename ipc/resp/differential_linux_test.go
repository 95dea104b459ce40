package resp_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"prefork/ipc/resp"
	"prefork/ipc/store"
)

// redisServer starts Debian's redis-server.
func redisServer(t testing.TB, args ...string) (path string) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is missing (Debian package redis-server)")
	}
	dir := t.TempDir()
	path = filepath.Join(dir, "r")
	cmd := exec.Command(program, append([]string{"--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", dir}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ready := make(chan error, 1)
	go func() { ready <- untilLine(out, "ready to accept connections") }()
	select {
	case err := <-ready:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("redis-server does not get ready")
	}
	return path
}

// both sends the same to this server and to Redis.
type both struct {
	t           *testing.T
	ours, redis *wire
	history     []string
}

func (b *both) same(args ...string) {
	b.t.Helper()
	b.history = append(b.history, fmt.Sprintf("%q", args))
	if got, want := b.ours.do(args...), b.redis.do(args...); !equal(args, got, want) {
		b.t.Errorf("%q: %q, Redis: %q (before it: %s)", args, got, want, strings.Join(b.history[max(0, len(b.history)-6):], " "))
	}
}

// equal allows what the clock does between the two servers.
func equal(args []string, got, want string) bool {
	if got == want {
		return true
	}
	unit := map[string]int{"ttl": 1, "pttl": 1500, "expiretime": 1, "pexpiretime": 1500}[strings.ToLower(args[0])]
	g, err1 := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(got, ":")))
	w, err2 := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(want, ":")))
	return unit > 0 && err1 == nil && err2 == nil && g > 0 && w > 0 && max(g-w, w-g) <= unit
}

func newBoth(t *testing.T, protocol string) *both {
	b := &both{t: t, redis: dial(t, redisServer(t)), ours: dial(t, serve(t, store.Private(store.Config{Size: 64 << 20}), resp.Options{Version: "test"}))}
	b.ours.do("hello", protocol)
	b.redis.do("hello", protocol)
	return b
}

// TestRepliesAreThoseOfRedis compares by hand-written commands: each option,
// each error.
func TestRepliesAreThoseOfRedis(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, protocol := range []string{"2", "3"} {
		t.Run("RESP"+protocol, func(t *testing.T) {
			b := newBoth(t, protocol)
			for _, line := range strings.Split(strings.TrimSpace(conversation), "\n") {
				line = strings.TrimSpace(strings.ReplaceAll(line, "LONG", long))
				if line == "" || line[0] == '#' {
					continue
				}
				b.same(words(t, line)...)
			}
		})
	}
}

// words cuts a line at spaces, but for those in quotes.
func words(t *testing.T, line string) (all []string) {
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		if line[0] != '"' {
			word, rest, _ := strings.Cut(line, " ")
			all, line = append(all, word), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all, line = append(all, word), line[len(quoted):]
	}
	return all
}

const conversation = `
get a
set a 1
get a
set a 2 nx
set a 2 xx
get a
set b 3 xx
set b 3 nx get
set b 4 get
set b 5 xx get
set b 6 nx get
get b
set c v ex 1000
ttl c
pttl c
set c v2 keepttl
ttl c
set c v3
ttl c
set c v px 1000000
ttl c
set c v exat 4102444800
ttl c
expiretime c
pexpiretime c
set c v pxat 4102444800123
expiretime c
pexpiretime c
get c
set c v exat 1
get c
exists c
set c v pxat 1
set c v ex 0
set c v ex -1
set c v px 0
set c v exat 0
set c v ex abc
set c v ex
set c v ex 10 px 10
set c v ex 10 ex 20
ttl c
set c v keepttl ex 10
set c v ex 10 keepttl
set c v nx xx
set c v xx nx
set c v foo
set c v ex 9223372036854775807
set c v px 9223372036854775807
set c v ex 9223372036854775
set c v persist
set c
set c v get get
set c v NX EX 10
set c v XX PX 10000 GET
setnx a 1
setnx n1 1
setex e1 1000 v
ttl e1
setex e1 0 v
setex e1 -5 v
setex e1 x v
psetex e1 100000 v
ttl e1
psetex e1 0 v
getset a new
getset missing new
get missing
getdel missing
getdel missing
getex a
getex a ex 1000
ttl a
getex a persist
ttl a
getex a px 100000
ttl a
getex a exat 4102444800
expiretime a
getex a pxat 4102444800000
pexpiretime a
getex a ex 0
getex a foo
getex a ex 10 persist
getex nokey ex 0
getex nokey ex 10
getex nokey foo
getex a exat 1
get a
mget a b c nope
mget
mset x 1 y 2
mset x 1 y
mget x y
append ap abc
append ap def
get ap
strlen ap
strlen nope
getrange ap 0 2
getrange ap -3 -1
getrange ap 0 -1
getrange ap 4 100
getrange ap 10 20
getrange ap -100 2
getrange ap -1 -3
getrange ap 3 1
getrange ap x 1
getrange nope 0 -1
substr ap 1 2
setrange ap 2 XYZ
get ap
setrange sr 5 hello
get sr
setrange sr 0 ""
setrange nope 5 ""
exists nope
setrange sr -1 x
setrange sr 2147483647 x
setrange sr 99999999999 x
setrange sr abc x
incr i
incr i
decr i
incrby i 10
decrby i 3
incrby i abc
incrby i 1.5
incrby i 9223372036854775807
decrby i -9223372036854775808
incrby i -9223372036854775808
get i
incr ap
set big 9223372036854775807
incr big
set small -9223372036854775808
decr small
set bad " 1"
incr bad
set bad ""
incr bad
set bad 1.0
incr bad
set i 5 ex 1000
incr i
ttl i
incrbyfloat fl 0.1
incrbyfloat fl 0.2
incrbyfloat fl -0.3
incrbyfloat fl 1e3
incrbyfloat fl 3.0e3
incrbyfloat fl 5e-10
incrbyfloat fl abc
incrbyfloat fl 1e400
incrbyfloat ap 1
set fl 10.50
incrbyfloat fl 0.1
set fl 5.0e3
incrbyfloat fl 2.0e2
set fl 3
incrbyfloat fl 1.1
incrbyfloat fl -1.1
incrbyfloat fl " 1"
incrbyfloat fl ""
incrbyfloat neg -0.0
incrbyfloat new 1.23456789012345678901
del x y nope
del x
unlink a b nope
exists a b
set a 1
exists a a a
touch a nope
type a
type nope
expire a 1000
ttl a
expire a 500 gt
ttl a
expire a 2000 gt
ttl a
expire a 3000 lt
expire a 100 lt
ttl a
expire a 50 nx
expire a 50 xx
ttl a
persist a
persist a
persist nope
ttl a
expire a 10 gt
expire a 10 xx
expire a 10 lt
ttl a
persist a
expire a 10 nx
expire a 10 nx xx
expire a 10 nx gt
expire a 10 gt lt
expire a 5 xx gt
expire a 10 foo
expire a abc
expire a 9223372036854775807
expire a -9223372036854775808
pexpire a 9223372036854775807
pexpire a 100000
pttl a
expireat a 4102444800
expiretime a
pexpireat a 4102444800999
pexpiretime a
expiretime a
expireat a 9223372036854775807
expire nope 10
expire nope 9223372036854775807
pexpireat a 9223372036854775807 nx
expire a -1
exists a
set a 1
pexpire a 0
exists a
set a 1
expireat a 1
exists a
set a 1 ex 100
pexpireat a 1 gt
exists a
pexpireat a 1 lt
exists a
ttl nope
pttl nope
expiretime nope
pexpiretime nope
ttl
ttl a b
scan
scan abc
scan 0 count 0
scan 0 count abc
scan 0 count
scan 0 match
scan 0 foo bar
scan 0 type
scan 99999999999999999999
keys zzz*
keys
set "key with spaces" "value\r\nwith\x00bytes"
get "key with spaces"
set "" empty
get ""
del ""
set k ""
get k
strlen k
ping
ping hello
ping a b
ping "with\r\nline"
echo hello
echo
echo a b
select 0
select 16
select -1
select abc
select
auth x
auth default x
auth other x
auth a b c
hello 4
hello abc
hello 2 foo
hello 1
hello 2 setname
hello 2 auth x
hello 2 setname "a b"
client id x
client getname
client setname "a b"
client setname me
client getname
client setname ""
client getname
client
client foo
client foo bar
client setname
client no-evict on
client no-evict foo
client reply foo
client list foo
client list type foo
client list id
client list id abc
client list type pubsub
config
config get
config foo
config get zzz*
config get save
config get appendonly
command foo
command count foo
command info nope
command list foo
foo
foo bar
foo LONG LONG
"foo\r\nbar" "a\r\nb"
LONG a
get
get a b
set
quitx
script
script foo
script load
script exists abc
script exists
script flush foo
script flush async
evalsha abc 0
evalsha abc x
evalsha abc 1
evalsha abc -1
eval x abc
eval x 1
eval x -1
eval
dbsize x
flushall foo
flushdb async
flushall sync
dbsize
time x
info x y
get a
`

// TestRandomCommandsAnswerAsRedis goes through states that nobody thought of.
func TestRandomCommandsAnswerAsRedis(t *testing.T) {
	rounds := 6000
	if testing.Short() {
		rounds = 1000
	}
	for _, protocol := range []string{"2", "3"} {
		t.Run("RESP"+protocol, func(t *testing.T) {
			b := newBoth(t, protocol)
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 1))
			for i := 0; i < rounds && !t.Failed(); i++ {
				args := randomCommand(r)
				b.same(args...)
			}
		})
	}
}

// randomCommand makes a command that is often right.
func randomCommand(r *rand.Rand) []string {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	key := func() string { return pick("a", "b", "c", "d") }
	number := func() string {
		return pick("0", "1", "-1", "2", "10", "-7", "9223372036854775807", "-9223372036854775808", "abc", "", "1.5", "100000")
	}
	value := func() string {
		if r.IntN(2) == 0 {
			return number()
		}
		return strings.Repeat(pick("v", "xyz", "\x00\r\n"), r.IntN(40))
	}
	soon := func() string { return pick("1000", "5000", "100000", "0", "-5", "abc", "9223372036854775807") }
	late := func() string { return pick("4102444800", "4202444800", "1", "0", "x") }
	timed := func() []string {
		switch r.IntN(4) {
		case 0:
			return []string{pick("ex", "EX"), soon()}
		case 1:
			return []string{"px", pick("1000000", "9000000", "0")}
		case 2:
			return []string{"exat", late()}
		}
		return []string{"pxat", pick("4102444800000", "4102444800123", "1")}
	}
	options := func(all ...string) (some []string) {
		for range r.IntN(3) {
			if o := pick(all...); o == "TIME" {
				some = append(some, timed()...)
			} else {
				some = append(some, o)
			}
		}
		return some
	}
	switch r.IntN(22) {
	case 0, 1, 2:
		return append([]string{"set", key(), value()}, options("nx", "xx", "get", "keepttl", "TIME", "TIME", "bad")...)
	case 3:
		return append([]string{"getex", key()}, options("persist", "TIME", "TIME", "bad")...)
	case 4:
		// Of two equal expiries the later command's is later, or not: by the clock.
		return append([]string{"expire", key(), pick(strconv.Itoa(100_000+r.IntN(1_000_000)), "0", "-5", "abc", "9223372036854775807")}, options("nx", "xx", "gt", "lt")...)
	case 5:
		return append([]string{"pexpireat", key(), pick("4102444800000", "4302444800000", "1")}, options("nx", "xx", "gt", "lt")...)
	case 6:
		return []string{pick("ttl", "pttl", "expiretime", "pexpiretime", "persist", "type", "strlen", "get", "getdel"), key()}
	case 7:
		return []string{pick("incr", "decr"), key()}
	case 8:
		return []string{pick("incrby", "decrby"), key(), number()}
	case 9:
		return []string{"incrbyfloat", key(), pick("0.1", "-0.3", "1e3", "3", "100.55", "abc", "1e-9")}
	case 10:
		return []string{"append", key(), value()}
	case 11:
		return []string{"getrange", key(), number(), number()}
	case 12:
		return []string{"setrange", key(), pick("0", "3", "10", "-1", "abc"), value()}
	case 13:
		return []string{pick("del", "unlink", "exists", "touch"), key(), key()}
	case 14:
		return []string{"mset", key(), value(), key(), value()}
	case 15:
		return []string{"mget", key(), key(), key()}
	case 16:
		return []string{pick("getset", "setnx"), key(), value()}
	case 17:
		return []string{pick("setex", "psetex"), key(), pick("100000", "0", "-1", "x"), value()}
	case 18:
		return []string{"exists", "a", "b", "c", "d"}
	case 19:
		return []string{pick("expireat", "pexpire", "expire"), key(), pick("4102444800", "5000", "100000")}
	}
	return []string{"get", key()}
}

// TestCommandTellsWhatRedisTells compares arity, flags and keys of each command
// that Redis 7.0 has too.
func TestCommandTellsWhatRedisTells(t *testing.T) {
	b := newBoth(t, "2")
	b.ours.send(encode("command", "list"))
	var names []string
	for _, line := range strings.Split(b.ours.reply(), "\r\n") {
		if line != "" && line[0] != '*' && line[0] != '$' {
			names = append(names, line)
		}
	}
	if len(names) < 50 {
		t.Fatalf("COMMAND LIST gave %d names", len(names))
	}
	for _, name := range names {
		want := b.redis.do("command", "info", name)
		if name == "prefork" || strings.HasPrefix(want, "*1\r\n$-1") {
			continue
		}
		if name == "flushall" || name == "flushdb" || name == "eval" || name == "evalsha" {
			continue // they take less here, and say so by fewer flags
		}
		if got := b.ours.do("command", "info", name); summary(got) != summary(want) {
			t.Errorf("%s: %s, Redis: %s", name, summary(got), summary(want))
		}
	}
}

// summary is the name, the arity, the flags in order of name, and the keys of a
// reply to COMMAND INFO.
func summary(reply string) string {
	lines := strings.Split(reply, "\r\n")
	if len(lines) < 6 {
		return reply
	}
	name, arity := lines[3], lines[4]
	n, _ := strconv.Atoi(lines[5][1:])
	flags := slices.Clone(lines[6 : 6+n])
	flags = slices.DeleteFunc(flags, func(f string) bool { return f == "+movablekeys" || f == "+sentinel" || f == "+allow_busy" })
	slices.Sort(flags)
	return fmt.Sprint(name, arity, flags, lines[6+n:6+n+3])
}
