"""Delivery of events to webhook endpoints: signed, tried again on anything but a 2xx."""
import asyncio
import json
import time
from collections import deque

from . import events, signature, versions

AT_ONCE = 16            # deliveries under way, so that a bulk change does not open a socket each


class Delivery:
    def __init__(self, id, event, endpoint):
        self.id, self.event, self.endpoint = id, event, endpoint
        self.state, self.tries = "pending", []

    def shown(self):
        return {"id": self.id, "event": self.event["id"], "type": self.event["type"],
                "endpoint": self.endpoint["id"], "url": self.endpoint["url"], "state": self.state,
                "tries": self.tries}


class Webhooks:
    def __init__(self, world):
        self.world = world
        self.deliveries = deque(maxlen=100_000)
        self.tasks = set()
        self.slots = asyncio.Semaphore(AT_ONCE)
        self.session = None
        self.count = 0

    def prepare(self):
        """Load the HTTP client when the first endpoint appears: it is slow to import."""
        if self.session is None:
            import aiohttp
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=AT_ONCE),
                timeout=aiohttp.ClientTimeout(total=self.world.options.webhook_timeout_ms / 1000))

    def stop(self):
        for task in self.tasks:
            task.cancel()
        if self.session is not None:
            self.world.loop.create_task(self.session.close())

    def dispatch(self, event):
        for endpoint in self.world.of("webhook_endpoint"):
            wanted = endpoint["enabled_events"]
            if endpoint["status"] == "enabled" and ("*" in wanted or event["type"] in wanted):
                self.start(event, endpoint)

    def start(self, event, endpoint):
        self.count += 1
        event["pending_webhooks"] += 1
        delivery = Delivery("delivery_%d" % self.count, event, endpoint)
        self.deliveries.append(delivery)
        task = self.world.loop.create_task(self.deliver(delivery))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return delivery

    async def deliver(self, delivery):
        for wait_ms in [0] + self.world.options.webhook_retry_ms:
            if wait_ms:
                await asyncio.sleep(wait_ms / 1000)
            endpoint = delivery.endpoint
            if endpoint.get("_deleted") or endpoint["status"] != "enabled":
                break
            async with self.slots:
                done = await self.try_once(delivery)
            if done:
                delivery.state = "delivered"
                delivery.event["pending_webhooks"] -= 1
                return
        delivery.state = "failed"

    async def try_once(self, delivery):
        body = body_of(delivery.event, delivery.endpoint)
        # Signed with real time even where our clock is moved: receivers compare with theirs.
        stamp, started = int(time.time()), time.monotonic()
        headers = {"Content-Type": "application/json; charset=utf-8",
                   "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
                   "Stripe-Signature": signature.header(delivery.endpoint["_secrets"], body, stamp)}
        entry = {"at": time.time(), "status": None, "error": None, "answer": None}
        delivery.tries.append(entry)
        try:
            async with self.session.post(delivery.endpoint["url"], data=body, headers=headers,
                                         allow_redirects=False) as response:
                entry["status"] = response.status
                entry["answer"] = (await response.content.read(1024)).decode("utf-8", "replace")
        except asyncio.CancelledError:
            raise
        except Exception as e:      # whatever the other side does wrong is a failed try
            entry["error"] = "%s: %s" % (type(e).__name__, e)
        entry["duration_ms"] = round((time.monotonic() - started) * 1000)
        return entry["status"] is not None and 200 <= entry["status"] < 300


def body_of(event, endpoint):
    if event["object"] == "v2.core.event":
        shown = events.thin_shape(event, with_data=False)
    else:
        shown = events.shape(event, endpoint["api_version"] or versions.CURRENT)
    return json.dumps(shown, indent=2).encode()
