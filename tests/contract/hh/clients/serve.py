"""Serves an application on a free port of loopback: the first line tells its URL. Ends when its standard input does.
Arguments: wsgi or asgi, and the module beside this one that has the `app`."""

import importlib
import os
import socket
import sys
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def follow_parent():
    sys.stdin.read()
    os._exit(0)


kind, module = sys.argv[1:3]
app = importlib.import_module(module).app
threading.Thread(target=follow_parent, daemon=True).start()
if kind == "asgi":
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
else:
    server = make_server("127.0.0.1", 0, app, Threads, Silent)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
