// A worker in Node: express with express-session and connect-redis, unmodified,
// on the store that PREFORK_STORE names.
import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import { createClient } from "redis";

const client = createClient({ socket: { path: new URL(process.env.PREFORK_STORE).pathname } });
client.on("error", (e) => console.error(e.message));
await client.connect();

const app = express();
app.use(session({ store: new RedisStore({ client }), secret: "test", resave: false, saveUninitialized: false }));
app.get("/login/:user", (req, res) => {
  req.session.user = req.params.user;
  req.session.save((e) => res.send(`${process.pid} ${e ?? "in"}`));
});
app.get("/", (req, res) => res.send(`${process.pid} ${req.session.user ?? "nobody"}`));
app.listen({ fd: 3 });
