# Sessions in the store of the pool: a login that one worker takes is known to
# all of them, through reloads and kills.
#
#   prefork run -w 4 -- gunicorn -w 1 --preload app:app
import hashlib, http.cookies, json, os, secrets, urllib.parse

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

# One client for the whole process, made once. It connects at its first command, and again
# when the connection breaks.
store = redis.Redis.from_url(
    os.environ["PREFORK_STORE"],
    socket_timeout=2,
    retry=Retry(ExponentialBackoff(cap=0.2, base=0.01), 5),
    retry_on_error=[redis.ConnectionError],
)
LIFETIME = 30 * 60  # seconds without a request


def key(token):
    # A hash: who reads the store cannot log in with what stands there.
    return "session:" + hashlib.sha256(token.encode()).hexdigest()


def token_of(environ):
    cookies = http.cookies.SimpleCookie(environ.get("HTTP_COOKIE", ""))
    return cookies["session"].value if "session" in cookies else ""


def session_of(environ):
    value = store.getex(key(token_of(environ)), ex=LIFETIME)  # found, it lives on
    return json.loads(value) if value else None


def login(environ):
    form = environ["wsgi.input"].read(min(int(environ.get("CONTENT_LENGTH") or 0), 4096))
    name = urllib.parse.parse_qs(form.decode()).get("name", ["somebody"])[0]
    store.delete(key(token_of(environ)))  # a login has a token of its own, never one that came along
    token = secrets.token_urlsafe(32)
    store.set(key(token), json.dumps({"name": name, "by": os.getpid()}), ex=LIFETIME)
    return f"welcome, {name}\n", f"session={token}; Path=/; HttpOnly; SameSite=Lax"


def logout(environ):
    store.delete(key(token_of(environ)))
    return "goodbye\n", "session=; Path=/; Max-Age=0"


def hello(environ):
    session = session_of(environ)
    if session is None:
        return f"pid {os.getpid()}: who are you?\n", None
    return f"pid {os.getpid()}: hello, {session['name']}; pid {session['by']} took your login\n", None


def app(environ, start_response):
    answers = {("POST", "/login"): login, ("POST", "/logout"): logout, ("GET", "/"): hello}
    answer = answers.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
    if answer is None:
        start_response("404 Not Found", [("Content-Length", "0")])
        return []
    text, cookie = answer(environ)
    body = text.encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    if cookie:
        headers.append(("Set-Cookie", cookie))
    start_response("200 OK", headers)
    return [body]
