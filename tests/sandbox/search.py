"""Search, as of customers by metadata: it finds what was so a while ago (--search-lag-ms), since
Stripe's index is up to a minute behind."""
import re

from . import params as p
from .errors import StripeError, missing_param

CLAUSE = re.compile(r"""\s*(?P<not>-?)(?P<field>[a-z_]+)(?:\[(?P<key>'[^']*'|"[^"]*")\])?\s*"""
                    r"""(?P<op>:|~|>=|<=|>|<)\s*(?P<value>null|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|-?\d+)""")
JOINT = re.compile(r"\s+(AND|OR)(?=\s)|\s*\Z")
NUMBERS = ("created", "amount", "total")
COMPARE = {"<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__, ":": int.__eq__}


class Index:
    """What a search of one kind of object finds: each as it was when the index last looked."""

    def __init__(self, clock, fields, lag_ms):
        self.clock, self.fields, self.lag_s = clock, fields, lag_ms / 1000
        self.known = {}         # id -> [(when, what is searched)], oldest first

    def note(self, obj):
        state = {name: dict(obj[name]) if name == "metadata" else obj[name]
                 for name in self.fields + ("metadata",)}
        self.known.setdefault(obj["id"], []).append((self.clock.now(), state))

    def forget(self, id):
        self.known.pop(id, None)

    def states(self):
        """(id, what is seen of it), newest first."""
        until = self.clock.now() - self.lag_s
        for id, history in reversed(self.known.items()):
            while len(history) > 1 and history[1][0] <= until:
                history.pop(0)
            if history[0][0] <= until:
                yield id, history[0][1]


def bad_query(query):
    return StripeError(400, "We were unable to parse your search query `%s`. Try using the format "
                       "`metadata[\"key\"]:\"value\"` to query for metadata or key:\"value\" to "
                       "query for other fields." % query, param="query")


def parse(query, fields):
    """([(field, key, operator, value, negated)], any_of)"""
    clauses, joints, place = [], set(), 0
    while True:
        found = CLAUSE.match(query, place)
        if not found:
            raise bad_query(query)
        field, key, value = found["field"], found["key"], found["value"]
        if (field != "metadata" and field not in fields) or (field == "metadata") != bool(key):
            raise StripeError(400, "Field `%s` is an unsupported search field for this resource."
                              % field, param="query")
        numeric = field in NUMBERS
        if numeric != value.lstrip("-").isdigit() or (found["op"] not in ":~" and not numeric):
            if value != "null":
                raise bad_query(query)
        clauses.append((field, key and key[1:-1], found["op"], unquoted(value), bool(found["not"])))
        joint = JOINT.match(query, found.end())
        if not joint:
            raise bad_query(query)
        if joint[1] is None:
            break
        joints.add(joint[1])
        place = joint.end()
    if len(joints) > 1:
        raise StripeError(400, "You cannot combine AND and OR in the same query.", param="query")
    return clauses, joints == {"OR"}


def unquoted(text):
    if text == "null":
        return None
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[0] in "'\"" else int(text)


def holds(state, clause):
    field, key, op, value, negated = clause
    actual = state["metadata"].get(key) if field == "metadata" else state[field]
    if value is None or actual is None:
        found = value is None and actual is None
    elif isinstance(value, int):
        found = COMPARE[op](actual, value)
    elif op == "~":
        found = len(value) >= 3 and value.lower() in actual.lower()
    else:
        found = value.lower() == actual.lower()
    return found != negated


def answer(world, call, kind, url):
    """A page of what the query finds; the next page's name is where it goes on."""
    params, index = call.params, world.indexes[kind]
    if not params.get("query"):
        raise missing_param("query")
    limit = p.integer(params, "limit", 10)
    if not 1 <= limit <= 100:
        raise StripeError(400, "Invalid limit: must be between 1 and 100 (it currently is '%d')."
                          % limit, param="limit")
    clauses, any_of = parse(params["query"], index.fields)
    together = any if any_of else all
    found = [id for id, state in index.states()
             if together(holds(state, clause) for clause in clauses)]
    start = int(params["page"]) if str(params.get("page", "")).isdigit() else 0
    data = [world.of(kind).find(id) for id in found[start:start + limit]]
    more = len(found) > start + limit
    return {"object": "search_result", "data": [obj for obj in data if obj], "has_more": more,
            "next_page": str(start + limit) if more else None, "url": url}
