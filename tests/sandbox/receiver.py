"""A small webhook receiver for tests: keeps what it gets, answers what it is told."""
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .client import wait_for


class Received:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128        # the default of 5 resets connections of a bulk delivery


class Receiver:
    """statuses: the first answers, one each; after them always 200."""

    def __init__(self, statuses=()):
        self.received, self.statuses = [], list(statuses)
        self.server = Server(("127.0.0.1", 0), self.handler())
        self.url = "http://127.0.0.1:%d/webhooks" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def handler(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                receiver.received.append(Received(self.path, self.headers, body))
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *args):
                pass
        return Handler

    def wait(self, count=1, deadline_s=10):
        wait_for(lambda: len(self.received) >= count, deadline_s, what="%d deliveries" % count)
        return self.received

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
