# A program of the oldest kind: accept(2) on what it was given, one connection after the other.
import os
import socket

listener = socket.socket(fileno=3)
while True:
    conn, _ = listener.accept()
    with conn, conn.makefile("rwb") as stream:
        length = 0
        while (line := stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        stream.read(length)
        body = b"%d\n" % os.getpid()
        stream.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
