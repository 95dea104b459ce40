<?php
// See README.md. Sessions of PHP through php-redis, with its lock.
[$socket, $phase] = [$argv[1], $argv[2] ?? "all"];
ini_set("session.save_handler", "redis");
ini_set("session.save_path", "unix://$socket?persistent=0&prefix=php_session:");
ini_set("redis.session.locking_enabled", "1");
ini_set("redis.session.lock_wait_time", "1000");
ini_set("redis.session.lock_retries", "5000");
ini_set("session.use_cookies", "0");
ini_set("session.use_strict_mode", "0");
ini_set("session.cache_limiter", "");
error_reporting(E_ALL);
set_error_handler(function ($n, $text) { fail("php", $text); });

function fail($what, $why) {
	fwrite(STDERR, "bad $what: $why\n");
	exit(1);
}

function expect($what, $got, $want) {
	if ($got !== $want) {
		fail($what, var_export($got, true) . ", not " . var_export($want, true));
	}
	echo "ok $what\n";
}

// request is what a page does between session_start and its end.
function request($id, $page) {
	session_id($id);
	if (!session_start()) {
		fail("session_start", "false");
	}
	$result = $page();
	session_write_close();
	$_SESSION = [];
	return $result;
}

$redis = new Redis();
$redis->connect($socket);
if ($phase !== "read") {
	expect("login", request("one", function () { $_SESSION = ["user" => "alice", "n" => 41]; return true; }), true);
}
if ($phase !== "write") {
	expect("the next page knows it", request("one", function () { return $_SESSION["user"] . $_SESSION["n"]; }), "alice41");
}
if ($phase === "all") {
	expect("ttl", $redis->ttl("php_session:one") > 1000, true);
	expect("no lock is left", $redis->exists("php_session:one_LOCK"), 0);
	// Several processes count in one session: the lock makes them take turns.
	request("two", function () { $_SESSION["n"] = 0; });
	$count = '[$s, $c] = [$argv[1], 20]; foreach (["session.save_handler" => "redis", "session.save_path" => "unix://$s?persistent=0&prefix=php_session:",
		"redis.session.locking_enabled" => "1", "redis.session.lock_wait_time" => "1000", "redis.session.lock_retries" => "20000",
		"session.use_cookies" => "0", "session.use_strict_mode" => "0", "session.cache_limiter" => ""] as $k => $v) ini_set($k, $v);
		while ($c--) { session_id("two"); session_start(); $_SESSION["n"]++; session_write_close(); }';
	$all = [];
	for ($i = 0; $i < 4; $i++) {
		$all[] = proc_open([PHP_BINARY, "-r", $count, "--", $socket], [1 => STDERR, 2 => STDERR], $pipes);
	}
	foreach ($all as $p) {
		expect("a process that counts", proc_close($p), 0);
	}
	expect("no count is lost", request("two", function () { return $_SESSION["n"]; }), 80);
	expect("logout", request("one", function () { return session_destroy(); }), true);
	expect("nobody is in after it", $redis->exists("php_session:one"), 0);
	expect("options", $redis->set("php_session:x", "v", ["nx", "ex" => 10]), true);
	expect("options again", $redis->set("php_session:x", "v", ["nx", "ex" => 10]), false);
	$it = null;
	$keys = [];
	$redis->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
	while ($some = $redis->scan($it, "php_session:*")) {
		$keys = array_merge($keys, $some);
	}
	sort($keys);
	expect("scan", $keys, ["php_session:two", "php_session:x"]);
	$redis->del($keys);
}
