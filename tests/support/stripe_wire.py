"""What a request to Stripe looks like on the wire, ours beside that of Stripe's own clients.

    theirs = official([call("stripe", "billing.meterEvents.create", {...}, {"idempotencyKey": …})])
    assert [wire(r) for r in line.sandbox.requests(path="/v1/")] == theirs
"""

import json
import subprocess
import urllib.parse

import pytest

from line import npm
from line.paths import ROOT
from sandbox.client import Sandbox

SCRIPT = ROOT / "tests" / "sandbox" / "node" / "calls.mjs"
LEGACY = "stripe16"  # 16.12.0, which pins 2024-06-20
CURRENT = "stripe"   # 23.1.0, which pins 2026-10-28.endive
KEY = "sk_test_official"


def call(package, method, *args, key=KEY):
    """A call of an official client, such as call(CURRENT, "billing.meters.list", {"limit": 100})."""
    return {"package": package, "method": method, "args": args, "key": key}


def official(calls):
    """What the official clients send for these calls, as wire() shows it. Skips the test where
    they cannot be had. The sandbox that takes them knows nothing: its answers do not matter."""
    try:
        folder = npm.folder()
    except npm.Missing as why:
        pytest.skip(str(why))
    with Sandbox.start(rate_per_s=0) as sandbox:
        done = subprocess.run(["node", SCRIPT, folder, sandbox.host, str(sandbox.port)],
                              input=json.dumps(calls), capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 0, done.stderr
        seen = sandbox.requests()
    assert len(seen) == len(calls), done.stdout
    return [wire(request) for request in seen]


def wire(request):
    """Of a request that the sandbox recorded: all that Stripe goes by, decoded, so that the order of
    fields and the escapes do not matter. A key is there or not: its text is the caller's own."""
    headers = request["headers"]
    return {"method": request["method"],
            "path": request["path"],
            "query": fields(request["query"]),
            "encoding": headers.get("content-type") if request["body"] else None,
            "body": body(request["body"], headers.get("content-type")),
            "version": headers.get("stripe-version"),
            "authorization": headers.get("authorization", "").split(" ")[0],
            "has_key": "idempotency-key" in headers}


def body(text, encoding):
    if not text:
        return None
    return json.loads(text) if encoding == "application/json" else fields(text)


def fields(text):
    pairs = urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text))
    found = dict(pairs)
    assert len(found) == len(pairs), f"a field stands twice: {text}"
    return found
