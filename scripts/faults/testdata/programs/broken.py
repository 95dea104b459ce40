# A WSGI application whose import fails, but not at once.
import time

time.sleep(2)
raise ImportError("the ledger is not there")
