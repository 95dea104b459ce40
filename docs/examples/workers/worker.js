// A worker in Node: an HTTP server on descriptor 3, the socket that all workers share.
//
//   prefork run -w 4 -- node worker.js
const http = require("node:http");

let draining = false;
const server = http.createServer((request, response) => {
  if (draining) response.setHeader("Connection", "close");
  request.resume();
  request.on("end", () => response.end(`hello from node, pid ${process.pid}\n`));
});
server.listen({ fd: 3 });

// At SIGTERM: accept nothing more, finish what has begun. Node leaves when nothing is open.
process.on("SIGTERM", () => {
  draining = true;
  server.close();
});
