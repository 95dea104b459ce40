// Sessions in the store of the pool: a login that one worker takes is known to
// all of them, through reloads and kills.
//
//   SESSION_SECRET=... prefork run -w 4 -- node app.js
const net = require("node:net");
const express = require("express");
const session = require("express-session");
const { RedisStore } = require("connect-redis");
const { createClient } = require("redis");

// One client for the whole process. It connects again by itself when the connection breaks;
// node-redis has an option of its own for a socket that is a path.
const at = new URL(process.env.PREFORK_STORE);
const socket = { reconnectStrategy: (tries) => Math.min(tries * 20, 500) };
const client = at.protocol === "unix:"
  ? createClient({ socket: { ...socket, path: at.pathname } })
  : createClient({ url: at.href, socket });
client.on("error", (e) => console.error("store:", e.message));

const app = express();
app.use(session({
  store: new RedisStore({ client, prefix: "session:", ttl: 30 * 60 }),
  secret: process.env.SESSION_SECRET, // the same for all workers: it signs the cookie
  name: "session",
  resave: false, // an unchanged session costs an EXPIRE and no SET
  saveUninitialized: false,
}));
app.use(express.urlencoded({ extended: false, limit: "4kb" }));

app.get("/", (request, response) => {
  const { user } = request.session;
  response.send(user
    ? `pid ${process.pid}: hello, ${user.name}; pid ${user.by} took your login\n`
    : `pid ${process.pid}: who are you?\n`);
});

app.post("/login", (request, response, next) => {
  request.session.regenerate((error) => { // a login has an id of its own, never one that came along
    if (error) return next(error);
    request.session.user = { name: request.body?.name ?? "somebody", by: process.pid };
    response.send(`welcome, ${request.session.user.name}\n`);
  });
});

app.post("/logout", (request, response, next) => {
  request.session.destroy((error) => (error ? next(error) : response.send("goodbye\n")));
});

let draining = false;
client.connect().then(() => {
  const server = app.listen({ fd: 3 });
  server.on("request", (_, response) => {
    if (draining && !response.headersSent) response.setHeader("Connection", "close");
  });

  // At SIGTERM: accept nothing more, finish what has begun, then leave.
  process.on("SIGTERM", () => {
    draining = true;
    net.Server.prototype.close.call(server, () => client.destroy());
    setTimeout(() => server.closeIdleConnections(), 5000).unref();
  });
});
