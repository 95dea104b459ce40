# http.server with the handler of the stop signal that docs/reference/workers.md adds:
# it finishes what it has begun and takes nothing new.
import http.server
import os
import select
import signal
import socket


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b"%d\n" % os.getpid()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *args):
        pass


stopping = False


def stop(*_):
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)
server = http.server.HTTPServer(("", 0), Hello, bind_and_activate=False)
server.socket.close()
server.socket = socket.socket(fileno=3)
server.socket.setblocking(False)
while not stopping:
    if select.select([server], [], [], 0.1)[0]:
        server.handle_request()
