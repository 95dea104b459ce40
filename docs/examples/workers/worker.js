// A worker in Node: an HTTP server on descriptor 3, the socket that all workers share.
//
//   prefork run -w 4 -- node worker.js
const http = require("node:http");
const net = require("node:net");

let draining = false;
const server = http.createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    if (draining) response.setHeader("Connection", "close");
    response.end(`hello from node, pid ${process.pid}\n`);
  });
});
server.listen({ fd: 3 });

// At SIGTERM: accept nothing more, finish what has begun, and let idle connections bring one
// request more: server.close() would cut them. Node leaves when nothing is open.
process.on("SIGTERM", () => {
  draining = true;
  net.Server.prototype.close.call(server);
  setTimeout(() => server.closeIdleConnections(), 5000).unref();
});
