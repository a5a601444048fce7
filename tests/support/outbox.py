"""Messages into the outbox, and what became of them."""

import collections
import http.server
import json
import socket
import threading


def add_message(line, kind, key, tenant, data):
    """As a stage adds it; False if it is there already."""
    return line.value("SELECT add_message(%s, %s, %s, %s, now())", kind, key, tenant, json.dumps(data))


def add_messages(line, n, first=1, tenant="acme", channel="signal", destination=""):
    """n rows with ids in their order, msg_000…1 and so on, each a moment after the one before."""
    line.sql("INSERT INTO outgoing_messages (message_id, channel, tenant, kind, destination, data, occurred_at) "
             "SELECT 'msg_' || lpad(n::text, 32, '0'), %s, %s, 'milestone', %s, jsonb_build_object('n', n), "
             "now() + n * interval '1 ms' FROM generate_series(%s::int, %s::int) n",
             channel, tenant, destination, first, first + n - 1)
    line.sql("NOTIFY meterline_messages")


def states(line, channel=None):
    """{state: messages}"""
    return dict(line.sql("SELECT state, count(*)::int FROM outgoing_messages WHERE %s IN ('', channel) GROUP BY 1",
                         channel or ""))


def alert(line, tenant, email=None, url=None, secret=None):
    """A tenant's addresses, as `meterctl alerts` sets them."""
    line.sql("INSERT INTO alert_settings (tenant, email, post_url, post_secret) VALUES (%s, %s, %s, %s) "
             "ON CONFLICT (tenant) DO UPDATE SET email = excluded.email, post_url = excluded.post_url, "
             "post_secret = excluded.post_secret", tenant, email, url, secret)


class Receiver:
    """A receiver of POSTs, on IPv4 or IPv6. answer(path, number) says with which status the number-th POST to that path
    is answered: None never is, until it closes."""

    def __init__(self, answer=lambda path, number: 200, host="127.0.0.1", port=0):
        self.posts = []  # (path, headers, body), as they come
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._counts = collections.Counter()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver._lock:
                    receiver._counts[self.path] += 1
                    number = receiver._counts[self.path]
                    receiver.posts.append((self.path, self.headers, body))
                status = answer(self.path, number)
                if status is None:
                    receiver._closing.wait()
                    self.close_connection = True
                    return
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True
            request_queue_size = 256

        self._server = Server((host, port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def ids(self, path=None):
        with self._lock:
            return [headers["Meterline-Message-Id"] for at, headers, _ in self.posts if path in (None, at)]

    def close(self):
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
