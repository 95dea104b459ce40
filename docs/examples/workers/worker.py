# A worker in Python: http.server on descriptor 3, the socket that all workers share.
#
#   prefork run -w 4 -- python3 worker.py
import http.server, os, signal, socket, threading


class Hello(http.server.BaseHTTPRequestHandler):
    timeout = 10  # seconds without a byte; a client that sends nothing does not hold the worker

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b"hello from python, pid %d\n" % os.getpid()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *args):
        pass


server = http.server.HTTPServer(None, Hello, bind_and_activate=False)

# The five lines: serve the given socket, and at SIGTERM finish what has begun and leave.
server.socket = socket.socket(fileno=3)
server.socket.setblocking(False)  # another worker may have been faster to accept
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
