// See README.md.
import Redis from "ioredis";
import { createHash } from "node:crypto";

const [socket, phase = "all"] = process.argv.slice(2);
const r = new Redis({ path: socket, maxRetriesPerRequest: 3 });

function expect(what, got, want) {
  if (JSON.stringify(got) !== JSON.stringify(want)) {
    console.error(`bad ${what}: ${JSON.stringify(got)}, not ${JSON.stringify(want)}`);
    process.exit(1);
  }
  console.log("ok", what);
}

if (phase !== "read") {
  expect("set", await r.set("ioredis:login", "alice", "EX", 3600), "OK");
  expect("counter", await r.set("ioredis:n", 41), "OK");
}
if (phase !== "write") {
  expect("get", await r.get("ioredis:login"), "alice");
  expect("mget", await r.mget("ioredis:n", "ioredis:none"), ["41", null]);
}
if (phase === "all") {
  expect("incr", await r.incr("ioredis:n"), 42);
  expect("buffers", (await r.setBuffer("ioredis:b", Buffer.from([0, 255, 13, 10]), "GET")) === null && [...(await r.getBuffer("ioredis:b"))], [0, 255, 13, 10]);
  const p = r.pipeline();
  for (let i = 0; i < 500; i++) p.set(`ioredis:p${i}`, i).get(`ioredis:p${i}`).del(`ioredis:p${i}`);
  const replies = await p.exec();
  expect("pipeline", replies.filter((_, i) => i % 3 === 1).every(([e, v], i) => e === null && v === String(i)), true);
  const keys = [];
  for await (const some of r.scanStream({ match: "ioredis:*", count: 100 })) keys.push(...some);
  expect("scan", keys.sort(), ["ioredis:b", "ioredis:login", "ioredis:n"]);

  // A lock by hand, as every guide has it, and by EVALSHA.
  const release = `
    if redis.call("GET", KEYS[1]) == ARGV[1] then
      return redis.call("DEL", KEYS[1])
    else
      return 0
    end`;
  r.defineCommand("release", { numberOfKeys: 1, lua: release });
  expect("lock", await r.set("ioredis:lock", "me", "PX", 10000, "NX"), "OK");
  expect("lock is taken", await r.set("ioredis:lock", "you", "PX", 10000, "NX"), null);
  expect("unlock of another's lock", await r.release("ioredis:lock", "you"), 0);
  expect("unlock", await r.release("ioredis:lock", "me"), 1);
  const sha = createHash("sha1").update(release).digest("hex");
  expect("evalsha", await r.evalsha(sha, 1, "ioredis:lock", "me"), 0);
  expect("a transaction is refused", await r.multi().set("ioredis:x", 1).exec().catch((e) => /not offered/.test(e.message)), true);
  expect("nothing of it was done", await r.get("ioredis:x"), null);
  expect("delete", await r.del("ioredis:login", "ioredis:n", "ioredis:b"), 3);
}
await r.quit();
