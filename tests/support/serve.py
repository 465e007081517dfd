"""Serves an application on a free port of loopback: the first line tells its URL. Ends when its standard input does.
Arguments: wsgi or asgi, and the file that has the `app`."""

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


def tell(port):
    print(f"http://127.0.0.1:{port}", file=told, flush=True)


kind, file = sys.argv[1:3]
# Libraries that print while they are loaded must not be taken for us.
told, sys.stdout = sys.stdout, sys.stderr
folder, name = os.path.split(file)
sys.path.insert(0, folder)
app = importlib.import_module(name.removesuffix(".py")).app
threading.Thread(target=follow_parent, daemon=True).start()
if kind == "asgi":
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    tell(listener.getsockname()[1])
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
else:
    server = make_server("127.0.0.1", 0, app, Threads, Silent)
    tell(server.server_port)
    server.serve_forever()
