"""See README.md."""
import sys
import time

import redis
from redis.exceptions import LockError, LockNotOwnedError

socket, phase = sys.argv[1], (sys.argv[2:] or ["all"])[0]
r = redis.Redis(unix_socket_path=socket, decode_responses=True)


def expect(what, got, want):
    if got != want:
        print(f"bad {what}: {got!r}, not {want!r}", file=sys.stderr)
        sys.exit(1)
    print("ok", what)


def refuses(what, error, call):
    try:
        got = call()
    except error:
        print("ok", what)
    else:
        expect(what, got, error)


if phase != "read":
    expect("set", r.set("redis_py:login", "alice", ex=3600), True)
    expect("counter", r.incr("redis_py:n", 41) >= 41 and r.set("redis_py:n", 41), True)
if phase != "write":
    expect("get", r.get("redis_py:login"), "alice")
    expect("mget", r.mget("redis_py:n", "redis_py:none"), ["41", None])
    expect("ttl", 0 < r.ttl("redis_py:login") <= 3600, True)
if phase == "all":
    expect("set nx", r.set("redis_py:login", "bob", nx=True), None)
    expect("set get", r.set("redis_py:login", "bob", get=True, keepttl=True), "alice")
    expect("getex", r.getex("redis_py:login", px=100000), "bob")
    expect("incrbyfloat", r.incrbyfloat("redis_py:f", 0.1), 0.1)
    expect("scan", sorted(r.scan_iter("redis_py:*", count=100)), ["redis_py:f", "redis_py:login", "redis_py:n"])
    p = r.pipeline(transaction=False)
    for i in range(500):
        p.set(f"redis_py:p{i}", i).get(f"redis_py:p{i}").delete(f"redis_py:p{i}")
    expect("pipeline", p.execute()[1::3], [str(i) for i in range(500)])
    refuses("a transaction is refused", redis.ResponseError, lambda: r.pipeline().set("redis_py:x", 1).execute())
    expect("nothing of it was done", r.get("redis_py:x"), None)
    expect("client", r.client_setname("tester") and r.client_getname(), "tester")
    expect("info", r.info("server")["redis_mode"], "standalone")
    expect("config get", r.config_get("maxmemory*")["maxmemory"].isdigit(), True)
    expect("dbsize", r.dbsize() >= 3, True)

    lock = r.lock("redis_py:lock", timeout=10)
    other = r.lock("redis_py:lock", timeout=10, blocking_timeout=0)
    expect("lock", lock.acquire(), True)
    expect("lock is taken", other.acquire(), False)
    expect("lock extend", lock.extend(20) and 15 < r.ttl("redis_py:lock") <= 30, True)
    expect("lock replace ttl", lock.extend(5, replace_ttl=True) and r.ttl("redis_py:lock") <= 5, True)
    expect("lock reacquire", lock.reacquire() and 5 < r.ttl("redis_py:lock") <= 10, True)
    refuses("unlock of another's lock", LockError, other.release)
    lock.release()
    expect("unlock", r.exists("redis_py:lock"), 0)
    short = r.lock("redis_py:lock", timeout=0.05)
    short.acquire()
    deadline = time.time() + 10
    while r.exists("redis_py:lock") and time.time() < deadline:
        pass
    expect("a lock that ran out can be taken", other.acquire(), True)
    refuses("unlock after it ran out", LockNotOwnedError, short.release)
    other.release()
    refuses("other scripts are refused", redis.ResponseError, lambda: r.eval("return 1", 0))
    expect("delete", r.delete("redis_py:login", "redis_py:n", "redis_py:f"), 3)
