#!/bin/sh
# See README.md.
set -eu
socket=$1 phase=${2:-all}

# expect WHAT WANT ARGUMENTS...: what redis-cli prints in RESP2 and in RESP3.
expect() {
	what=$1 want=$2
	shift 2
	for protocol in -2 -3; do
		got=$(redis-cli -s "$socket" "$protocol" "$@" 2>&1) || { echo "bad $what: $got" >&2; exit 1; }
		[ "$got" = "$want" ] || { echo "bad $what ($protocol): $got, not $want" >&2; exit 1; }
	done
	echo "ok $what"
}

if [ "$phase" != read ]; then
	expect "set" OK set redis-cli:login alice EX 3600
	expect "mset" OK mset redis-cli:n 41 redis-cli:text "two words"
fi
if [ "$phase" = write ]; then exit 0; fi
expect "get" alice get redis-cli:login
expect "mget" "$(printf '41\ntwo words')" mget redis-cli:n redis-cli:text
if [ "$phase" = read ]; then exit 0; fi
expect "ping" PONG ping
expect "incrby" 41 incrby redis-cli:n 0
expect "scan" redis-cli:text --scan --pattern 'redis-cli:te*'
expect "null" "" get redis-cli:none
expect "unknown command" "ERR unknown command 'lpush', with args beginning with: 'a' 'b' " lpush a b
printf 'SET redis-cli:bulk 1\r\nGET redis-cli:bulk\r\n' | redis-cli -s "$socket" >/dev/null
for i in 1 2 3; do printf '*3\r\n$3\r\nSET\r\n$11\r\nredis-cli:%s\r\n$1\r\n%s\r\n' $i $i; done |
	redis-cli -s "$socket" --pipe | grep -q 'errors: 0, replies: 3' || { echo "bad mass insert" >&2; exit 1; }
echo "ok mass insert"
expect "mass insert is there" "$(printf '1\n2\n3')" mget redis-cli:1 redis-cli:2 redis-cli:3
redis-cli -s "$socket" del redis-cli:login redis-cli:n redis-cli:text redis-cli:bulk redis-cli:1 redis-cli:2 redis-cli:3 >/dev/null
