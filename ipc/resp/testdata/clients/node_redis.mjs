// See README.md.
import { createClient } from "redis";

const [socket, phase = "all"] = process.argv.slice(2);
const r = createClient({ socket: { path: socket } });
r.on("error", (e) => console.error(e.message));
await r.connect();

function expect(what, got, want) {
  if (JSON.stringify(got) !== JSON.stringify(want)) {
    console.error(`bad ${what}: ${JSON.stringify(got)}, not ${JSON.stringify(want)}`);
    process.exit(1);
  }
  console.log("ok", what);
}

if (phase !== "read") {
  expect("set", await r.set("node_redis:login", "alice", { EX: 3600 }), "OK");
  expect("counter", await r.set("node_redis:n", "41"), "OK");
}
if (phase !== "write") {
  expect("get", await r.get("node_redis:login"), "alice");
  expect("mget", await r.mGet(["node_redis:n", "node_redis:none"]), ["41", null]);
}
if (phase === "all") {
  expect("incr", await r.incr("node_redis:n"), 42);
  expect("set nx", await r.set("node_redis:login", "bob", { NX: true }), null);
  expect("expire", await r.expire("node_redis:login", 100), 1);
  expect("ttl", (await r.ttl("node_redis:login")) <= 100, true);
  const many = await Promise.all(Array.from({ length: 500 }, (_, i) => r.set(`node_redis:p${i}`, String(i), { PX: 60000 })));
  expect("many at once", many.every((v) => v === "OK"), true);
  const keys = [];
  for await (const some of r.scanIterator({ MATCH: "node_redis:p*", COUNT: 100 })) keys.push(...some);
  expect("scan", keys.length, 500);
  expect("delete", await r.del(keys.concat("node_redis:login", "node_redis:n")), 502);
}
await r.close();
