"""Events: every change of an object makes one, with a copy of the object as it was then."""
from contextlib import contextmanager

from . import versions
from .clock import rfc3339
from .store import Collection


def changes(old, new):
    """What previous_attributes shows: the old values of what differs; null for what is new."""
    found = {}
    for key in list(old) + [k for k in new if k not in old]:
        if key[:1] == "_":
            continue
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        both = isinstance(before, dict) and isinstance(after, dict)
        found[key] = changes(before, after) if both else before
    return found


def shape(event, version):
    """A snapshot event as an endpoint of this version receives it."""
    data = {"object": versions.public(event["data"]["object"], version)}
    previous = event["data"].get("previous_attributes")
    if previous is not None:
        data["previous_attributes"] = previous_shape(event["data"]["object"], previous, version)
    return {**{k: v for k, v in event.items() if k[0] != "_"}, "api_version": version, "data": data}


def previous_shape(obj, previous, version):
    shown = versions.public(previous, version)
    items = previous.get("items", {}).get("data") if obj.get("object") == "subscription" else None
    if items and versions.is_legacy(version):
        now = obj["items"]["data"][0] if obj["items"]["data"] else {}
        for edge in ("current_period_start", "current_period_end"):
            if items[0].get(edge) != now.get(edge):
                shown[edge] = items[0].get(edge)
    return shown


# What an invoice is computed from, and no version shows.
NOT_SHOWN = {"_fixed", "_behind", "_taken", "_discounts", "_payments"}


class Events:
    def __init__(self, world):
        self.world = world
        self.snapshots = Collection("event")
        self.thin = Collection("v2.core.event")
        self.told = None        # the types alone that are told; None: all

    @contextmanager
    def only(self, types):
        self.told = types
        try:
            yield
        finally:
            self.told = None

    def record(self, type, obj, call, previous=None, created=None):
        if self.told is not None and type not in self.told:
            return None
        request = {"id": call.request_id if call else None,
                   "idempotency_key": call.idempotency_key if call else None}
        data = {"object": versions.copy_of({k: v for k, v in obj.items() if k not in NOT_SHOWN})}
        if previous is not None:
            data["previous_attributes"] = previous
        event = self.snapshots.add({
            "id": self.world.ids.new("evt", 24), "object": "event",
            "api_version": versions.CURRENT, "created": created or self.world.clock.now_s(),
            "data": data, "livemode": False, "pending_webhooks": 0, "request": request,
            "type": type})
        self.world.webhooks.dispatch(event)
        return event

    @contextmanager
    def update(self, type, obj, call):
        """Record what the block changes, if it changes anything."""
        before = versions.copy_of({k: v for k, v in obj.items() if k[:1] != "_"})
        yield
        previous = changes(before, obj)
        if previous:
            self.record(type, obj, call, previous if type.endswith(".updated") else None)

    def record_thin(self, type, related, data):
        event = self.thin.add({
            "id": self.world.ids.new("evt_test", 24), "object": "v2.core.event", "type": type,
            "created": rfc3339(self.world.clock.now()), "livemode": False, "context": None,
            "reason": None, "related_object": related, "data": data, "pending_webhooks": 0})
        self.world.webhooks.dispatch(event)
        return event


def thin_shape(event, with_data):
    hidden = {"pending_webhooks"} | (set() if with_data else {"data"})
    return {key: value for key, value in event.items() if key not in hidden
            and not (key == "related_object" and value is None)}
