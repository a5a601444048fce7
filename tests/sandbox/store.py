"""Collections of objects in order of creation, and Stripe's way of paging through them."""
from . import params as p
from .errors import StripeError, missing

PAGING = {"limit", "starting_after", "ending_before", "created"}


class Collection:
    """Objects by id, and their order; a page costs as much as its length, wherever it starts."""

    def __init__(self, kind):
        self.kind = kind
        self.order = []         # None where an object was removed
        self.place = {}

    def add(self, obj):
        self.place[obj["id"]] = len(self.order)
        self.order.append(obj)
        return obj

    def find(self, id):
        place = self.place.get(id)
        return None if place is None else self.order[place]

    def get(self, id, param="id"):
        obj = self.find(id) if isinstance(id, str) else None
        if obj is None:
            raise missing(self.kind, id, param)
        return obj

    def remove(self, id):
        self.order[self.place.pop(id)] = None

    def __iter__(self):
        return (obj for obj in self.order if obj is not None)

    def __len__(self):
        return len(self.place)

    def page(self, params, url, keep=None):
        return page(self.order, params, url, self.kind, keep, self.place)


def page(order, params, url, kind="object", keep=None, place=None):
    """One page of a list, newest first. order: oldest first; keep: a filter."""
    limit = p.integer(params, "limit", 10)
    if not 1 <= limit <= 100:
        raise StripeError(400, "Invalid limit: must be between 1 and 100 (it currently is '%d')."
                          % limit, param="limit")
    after, before = params.get("starting_after"), params.get("ending_before")
    if after and before:
        raise StripeError(400, "You can only specify one of these parameters: starting_after, "
                          "ending_before.")
    if place is None:
        place = {obj["id"]: i for i, obj in enumerate(order)}
    start, step = len(order) - 1, -1
    if after:
        start = at(place, after, kind, "starting_after") - 1
    elif before:
        start, step = at(place, before, kind, "ending_before") + 1, 1
    found = walk(order, start, step, limit + 1, keep, params.get("created"))
    more = len(found) > limit
    data = found[:limit]
    return {"object": "list", "data": data[::-1] if before else data, "has_more": more, "url": url}


def at(place, id, kind, param):
    if id not in place:
        raise StripeError(400, "No such %s: '%s'" % (kind, id), code="resource_missing",
                          param=param)
    return place[id]


def walk(order, i, step, limit, keep, created):
    found = []
    while 0 <= i < len(order) and len(found) < limit:
        obj = order[i]
        if obj is not None and (keep is None or keep(obj)) \
                and (not created or p.in_range(obj.get("created", 0), created)):
            found.append(obj)
        i += step
    return found
