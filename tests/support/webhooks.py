"""Events of Stripe, signed and posted as Stripe does."""

import hashlib
import hmac
import http.client
import json
import time

from line.line import TEST_WEBHOOK_SECRET

NOW = int(time.time())


def signature(body, secret=TEST_WEBHOOK_SECRET, at=None, sign=None):
    at = int(time.time()) if at is None else at
    mac = hmac.new(secret.encode(), b"%d." % at + (sign or body), hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


def send(stage, body, header=None, method="POST", path="/webhooks/stripe"):
    """The connection on which one delivery was sent; its answer is still to be read. header False: none."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {} if header is False else {
        "Stripe-Signature": signature(body) if header is None else header}
    connection = http.client.HTTPConnection("127.0.0.1", stage.port("webhooks"), timeout=15)
    connection.request(method, path, body, headers)
    return connection


def post(stage, body, header=None, method="POST", path="/webhooks/stripe"):
    """(status, text) of one delivery; header False: none."""
    connection = send(stage, body, header, method, path)
    try:
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def deliver(stage, event):
    assert post(stage, event) == (200, '{"received":true}')
    return event["id"]


class Events:
    """Builds events; each with an id of its own."""

    def __init__(self):
        self.count = 0

    def make(self, kind, obj, created=NOW, previous=None, **more):
        self.count += 1
        data = {"object": obj, **({"previous_attributes": previous} if previous else {})}
        return {"id": f"evt_{self.count}", "object": "event", "type": kind, "created": created,
                "livemode": False, "api_version": "2026-10-28.endive", "data": data, **more}


def customer(id="cus_1", tenant="acme", email="a@acme.test", **more):
    return {"id": id, "object": "customer", "email": email,
            "metadata": {"tenant": tenant} if tenant else {}, **more}
