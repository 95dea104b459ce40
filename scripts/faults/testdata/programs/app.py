# A WSGI application: gunicorn's.
import os


def app(environ, start):
    environ["wsgi.input"].read()
    body = b"%d\n" % os.getpid()
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]
