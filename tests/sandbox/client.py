"""Starts a sandbox as a process of its own, and talks to it; for tests.

    with Sandbox.start(rate_per_s=0) as sandbox:
        sandbox.bootstrap(meters=[{"event_name": "calls", "formula": "sum"}], tenants=["acme"])
"""
import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run")
KEY = "sk_test_sandbox"


def wait_for(condition, deadline_s=10, every_s=0.01, what="condition"):
    """The first true value that the condition gives, within the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not in %s s: %s" % (deadline_s, what))
        time.sleep(every_s)


def encode_form(params, prefix=""):
    """Nested dictionaries and lists as Stripe's form encoding."""
    pairs = []
    items = params.items() if isinstance(params, dict) else enumerate(params)
    for key, value in items:
        name = "%s[%s]" % (prefix, key) if prefix else str(key)
        if isinstance(value, (dict, list, tuple)):
            pairs += encode_form(value, name)
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            pairs.append((name, "" if value is None else text))
    return pairs


class Answer:
    """headers: names in any case; json: the parsed body, or None."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = None

    @property
    def error(self):
        return (self.json or {}).get("error", {})


class Sandbox:
    def __init__(self, process, url):
        self.process, self.url = process, url
        self.host, self.port = url[len("http://"):].rsplit(":", 1)
        self.port = int(self.port)

    @classmethod
    def start(cls, listen="127.0.0.1:0", **options):
        """options: the flags, with underscores, such as rate_per_s=0, webhook_retry_ms="10,20"."""
        command = [RUN, "--listen", listen]
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            command += [flag] if value is True else [flag, str(value)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        if not line.startswith("sandbox listening on "):
            process.kill()
            raise RuntimeError("the sandbox did not start: %r, exit %s" % (line, process.wait()))
        return cls(process, line.split()[-1])

    def stop(self):
        self.process.terminate()
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def send(self, method, path, body=None, headers=None, timeout_s=30):
        request = urllib.request.Request(self.url + path, body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as response:
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as e:
            return Answer(e.code, e.headers, e.read())

    def browse(self, url, form=None):
        """A browser's request for one of our pages, by its whole address; redirects are not followed."""
        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *args):
                return None
        request = urllib.request.Request(url, form, {
            "Content-Type": "application/x-www-form-urlencoded"} if form is not None else {})
        try:
            with urllib.request.build_opener(Stay).open(request, timeout=30) as response:
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as e:
            return Answer(e.code, e.headers, e.read())

    def api(self, method, path, params=None, key=KEY, version=None, idempotency_key=None,
            headers=None, timeout_s=30):
        """One API call; params are form-encoded for v1 and JSON for v2."""
        sent = dict(headers or {})
        if key:
            sent["Authorization"] = "Bearer " + key
        if version:
            sent["Stripe-Version"] = version
        if idempotency_key:
            sent["Idempotency-Key"] = idempotency_key
        body = None
        if method == "POST" and path.startswith("/v2/"):
            body, sent["Content-Type"] = json.dumps(params or {}).encode(), "application/json"
        elif method == "POST":
            body = urllib.parse.urlencode(encode_form(params or {})).encode()
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        elif params:
            path += "?" + urllib.parse.urlencode(encode_form(params))
        return self.send(method, path, body, sent, timeout_s)

    def control(self, method, path, given=None):
        """The control interface; path without /_sandbox."""
        body = None if given is None else json.dumps(given).encode()
        answer = self.send(method, "/_sandbox" + path, body, {"Content-Type": "application/json"})
        if answer.status != 200:
            raise RuntimeError("%s %s: %s %s" % (method, path, answer.status, answer.body))
        return answer.json

    def totals(self, kind="totals", **span):
        """The list of totals, or of usage_records; span: start and end, None for an open one."""
        given = {name: edge for name, edge in span.items() if edge is not None}
        query = "?" + urllib.parse.urlencode(given) if given else ""
        return self.control("GET", "/totals" + query)[kind]

    def total(self, tenant, event_name):
        """One value as an integer; 0 if there is none."""
        for row in self.totals():
            if row["event_name"] == event_name and tenant in (row["tenant"], row["customer"]):
                return int(row["value"])
        return 0

    def violations(self):
        return self.control("GET", "/totals")["violations"]

    def excused(self):
        """How often a call was read late, in the middle of another one of its lane: see lanes.py."""
        return self.control("GET", "/totals")["excused"]

    def fault(self, fault, **fields):
        """fault("status", path="/v1/billing/meter_events", status=500, times=1) -> its id."""
        return self.control("POST", "/faults", {"fault": fault, **fields})["id"]

    def faults(self):
        return self.control("GET", "/faults")["faults"]

    def end_fault(self, id):
        """How often it fired."""
        return self.control("DELETE", "/faults/" + id)["fired"]

    def clear_faults(self):
        self.control("DELETE", "/faults")

    def bootstrap(self, **fields):
        return self.control("POST", "/bootstrap", fields)

    def meter_events(self, **filters):
        query = urllib.parse.urlencode(filters)
        return self.control("GET", "/meter_events?" + query)["meter_events"]

    def identifiers(self, identifier):
        query = urllib.parse.urlencode({"identifier": identifier})
        return self.control("GET", "/identifiers?" + query)["seen"]

    def all_identifiers(self):
        """{"identifiers": how many, "requests": how many carried one, "differing": {identifier:
        bodies} of those that came with several}"""
        return self.control("GET", "/identifiers")

    def requests(self, path="", limit=1000):
        query = urllib.parse.urlencode({"path": path, "limit": limit})
        return self.control("GET", "/requests?" + query)["requests"]

    def deliveries(self, **filters):
        return self.control("GET", "/deliveries?" + urllib.parse.urlencode(filters))["deliveries"]

    def webhook(self, url, **fields):
        """A webhook endpoint -> {"id", "secret"}; the secret may be given."""
        return self.control("POST", "/webhook_endpoints", {"url": url, **fields})

    def event(self, type, object, **fields):
        return self.control("POST", "/events", {"type": type, "object": object, **fields})["id"]

    def redeliver(self, event_id):
        return self.control("POST", "/events/%s/redeliver" % event_id, {})

    def clock(self, offset_s):
        return self.control("POST", "/clock", {"offset_s": offset_s})

    def set(self, **options):
        """rate_per_s, delay_ms and samples of a running sandbox."""
        return self.control("POST", "/options", options)

    def key(self, key, **state):
        """expired=True, or refused=["GET /v1/prices", "/v1/webhook_endpoints"]; {}: as any other."""
        return self.control("POST", "/keys", {"key": key, **state})

    def reset(self):
        self.control("POST", "/reset", {})
