import asyncio
import os
import socket


async def serve(reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            await reader.readexactly(int(value))
    body = b"%d\n" % os.getpid()
    writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, sock=socket.socket(fileno=3))
    await server.serve_forever()


asyncio.run(main())
