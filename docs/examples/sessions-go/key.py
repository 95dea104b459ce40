# The key under which the store has a session, from the token in its cookie.
import base64, hashlib, hmac, sys

PREFIX = "session/"                # session.Prefix
SECRET = b"prefork/worker/session"  # session.Key; this one where none is given


def key(token):
    mac = hmac.new(SECRET, token.encode(), hashlib.sha256).digest()
    return PREFIX + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


print(key(sys.argv[1]))
