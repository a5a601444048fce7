"""Answers GET as Stripe would, for lives whose time somebody moves on: the objects as they are by then."""

import http.server
import json
import re
import threading

from support.life_stripe import MARK


class LifeApi:
    def __init__(self):
        self.lives = {}     # mark of an order: (the life's bodies, how many of its events have happened)
        self.requests = 0
        self.paths = []
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                found = api.find(self.path)
                body = json.dumps(found or {"error": {"type": "invalid_request_error", "code": "resource_missing"}})
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args):
                """Silent."""

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 200
            daemon_threads = True

            def handle_error(self, request, client_address):
                """Who asked has gone."""

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def find(self, path):
        self.requests += 1
        self.paths.append(path)
        path, _, query = path.partition("?")
        if path == "/v1/subscription_items":
            return self.items(query)
        mark, body = self.object(path.rpartition("/")[2])
        return body and json.loads(json.dumps(body).replace(MARK, mark))

    def object(self, id):
        mark = re.search(r"L\d+o\d+x", id)
        bodies, happened = self.lives.get(mark.group() if mark else "", ({}, 0))
        known = [body for count, body in bodies.get(id.replace(mark.group(), MARK) if mark else "", []) if count <= happened]
        return mark and mark.group(), known[-1] if known else None

    def items(self, query):
        """The rest of a subscription's items, which the object lists the first ten of."""
        given = dict(pair.split("=") for pair in query.split("&"))
        mark, body = self.object(given["subscription"])
        rest = body["rest"] if body else []
        return json.loads(json.dumps({"object": "list", "data": rest, "has_more": False}).replace(MARK, mark or ""))
