"""API versions: objects are kept in the newest shape and given out in the one asked for."""
import marshal

from .shapes import BASIL, NEWER, OMITTED, SHAPERS, shape

CURRENT = "2026-10-28.endive"
LISTED = 10
KINDS = set(NEWER) | set(OMITTED) | set(SHAPERS)


def is_legacy(version):
    """Usage records end with basil, and periods move from the subscription to its items."""
    return (version or CURRENT)[:10] < BASIL


def public(obj, version, expand=()):
    """A copy as this version shows it: without private fields, and some only where expanded."""
    if isinstance(obj, list):
        return [public(x, version, expand) for x in obj]
    if not isinstance(obj, dict):
        return obj
    copy = {}
    for key, value in obj.items():
        if key[:1] == "_" or (key == "tiers" and "tiers" not in expand):
            continue
        copy[key] = public(value, version, below(expand, key)) if key != "metadata" or not value \
            else dict(value)
    kind = obj.get("object")
    if not isinstance(kind, str):       # the data of an event
        return copy
    if kind in KINDS:
        shape(kind, copy, obj, (version or CURRENT)[:10], lambda other: public(other, version))
    if kind in HOLDERS:
        cut(copy.get(HOLDERS[kind]))
    if kind == "invoice" and any(path.partition(".")[0] == "payments" for path in expand):
        copy["payments"] = {"object": "list", "data": public(obj["_payments"], version), "has_more": False,
                            "url": "/v1/invoice_payments?invoice=" + obj["id"]}
    return copy


class Shown(dict):
    """An answer that has its shape already, such as an event, which keeps its own version."""


# A list within an object has its first ten; the rest is at the list's url.
HOLDERS = {"subscription": "items", "invoice": "lines"}


def cut(listed):
    if isinstance(listed, dict) and len(listed.get("data", ())) > LISTED:
        listed["data"], listed["has_more"] = listed["data"][:LISTED], True


def below(expand, key):
    """data.items.price -> items.price"""
    return [path[len(key) + 1:] for path in expand if path.startswith(key + ".")] if expand else ()


def copy_of(obj):
    """A deep copy of plain JSON: many times faster than copy.deepcopy, unless there are fractions in it."""
    try:
        return marshal.loads(marshal.dumps(obj))
    except ValueError:
        return walked(obj)


def walked(obj):
    if isinstance(obj, dict):
        return {key: walked(value) for key, value in obj.items()}
    return [walked(x) for x in obj] if isinstance(obj, list) else obj
