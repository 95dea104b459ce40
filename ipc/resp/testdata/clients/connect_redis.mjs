// See README.md. express with express-session and connect-redis; the sessions
// are made and read through HTTP.
import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import { once } from "node:events";
import { createClient } from "redis";

const [socket, phase = "all"] = process.argv.slice(2);
const client = createClient({ socket: { path: socket } });
client.on("error", (e) => console.error(e.message));
await client.connect();

// application is one worker: another one has the same secret, and the same
// store.
async function application() {
  const app = express();
  app.use(session({ store: new RedisStore({ client, prefix: "connect_redis:" }), secret: "test", resave: false, saveUninitialized: false, genid: () => "a-session" }));
  app.get("/login/:user", (req, res) => {
    req.session.user = req.params.user;
    req.session.visits = 0;
    res.send("in");
  });
  app.get("/", (req, res) => {
    req.session.visits++;
    res.send(req.session.user ?? "nobody");
  });
  app.get("/logout", (req, res, next) => req.session.destroy((e) => (e ? next(e) : res.send("out"))));
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function expect(what, got, want) {
  if (got !== want) {
    console.error(`bad ${what}: ${got}, not ${want}`);
    process.exit(1);
  }
  console.log("ok", what);
}

async function get(server, path, cookie) {
  const answer = await fetch(`http://127.0.0.1:${server.address().port}${path}`, { headers: cookie ? { cookie } : {} });
  return { text: await answer.text(), cookie: answer.headers.get("set-cookie")?.split(";")[0] };
}

const one = await application();
const two = await application();
let cookie = (await get(one, "/login/alice")).cookie;
if (phase === "read") {
  expect("a session of before", (await get(one, "/", cookie)).text, "alice");
} else {
  expect("login", (await get(one, "/", cookie)).text, "alice");
}
if (phase !== "write") {
  expect("the other worker knows it", (await get(two, "/", cookie)).text, "alice");
}
if (phase === "all") {
  expect("ttl", (await client.ttl("connect_redis:a-session")) > 86000, true);
  const store = new RedisStore({ client, prefix: "connect_redis:" });
  expect("length", await new Promise((ok, bad) => store.length((e, n) => (e ? bad(e) : ok(n)))), 1);
  expect("ids", (await new Promise((ok, bad) => store.ids((e, n) => (e ? bad(e) : ok(n))))).join(), "a-session");
  expect("all", (await new Promise((ok, bad) => store.all((e, n) => (e ? bad(e) : ok(n))))).map((s) => s.user).join(), "alice");
  expect("logout", (await get(two, "/logout", cookie)).text, "out");
  expect("nobody is in after it", (await get(one, "/", cookie)).text, "nobody");
  await new Promise((ok) => store.clear(ok));
}
one.close();
two.close();
await client.close();
