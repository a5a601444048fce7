"""Requests as GET /api/openapi.json describes them, right and wrong, and whether each answer is one that it describes."""

import json
import re
import urllib.parse

import jsonschema
from hypothesis import strategies as st

ODD_TEXTS = ["", " ", "'", '"', "\\", "../..", "%00", "' OR ''='", "; DROP TABLE plans; --", "{{7*7}}", "\u202e", "x" * 300, "ä" * 80, "null",
             "0", "-1", "1e309", "99999999999999999999", "NaN", "2026-02-30T00:00:00Z", "a\r\nX-Evil: 1", "\x00", "🦓", "<script>", "$1", "cus_1"]
ODD_VALUES = [None, True, False, 0, -1, 1, 2**31, 2**63 - 1, 2**63, 10**40, 0.5, 1e300, "", [], {}, [[]], {"": {}}, *ODD_TEXTS[:8]]


def texts(schema):
    if "enum" in schema:
        return st.sampled_from([value for value in schema["enum"] if value is not None])
    if schema.get("format") == "date-time":
        return st.sampled_from(["2026-06-01T00:00:00Z", "2026-11-30T12:00:00.5+01:00", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
    pattern = schema.get("pattern")
    if pattern and "a-z0-9_" in pattern:
        return st.sampled_from(["api_calls", "llm_tokens", "standard", "free", "enterprise", "region", "usd", "x", "a" * 64])
    if pattern:
        return st.from_regex(re.compile(pattern.replace("^", r"\A").replace("$", r"\Z")), fullmatch=True)
    longest = min(schema.get("maxLength", 40), 40)
    return st.one_of(st.sampled_from(["Europe/Berlin", "UTC", "https://example.com/x", "a@example.com", "cus_1", "sub_1", "x1", "pm_card_visa"]),
                     st.text(st.characters(blacklist_categories=["Cc", "Cs"]), min_size=schema.get("minLength", 0), max_size=longest))


def values(schema):
    """What fits."""
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return st.one_of(st.none(), values({**schema, "type": next(kind for kind in kinds if kind != "null")}))
    if kinds == "integer":
        low, high = schema.get("minimum", -5), schema.get("maximum", 10**9)
        return st.one_of(st.integers(low, high), st.sampled_from([low, high]))
    if kinds == "boolean":
        return st.booleans()
    if kinds == "array":
        return st.lists(values(schema["items"]), min_size=schema.get("minItems", 0), max_size=min(schema.get("maxItems", 3), 3))
    if kinds == "object" or "properties" in schema:
        needed = {name: values(each) for name, each in schema.get("properties", {}).items() if name in schema.get("required", [])}
        other = {name: values(each) for name, each in schema.get("properties", {}).items() if name not in needed}
        return st.fixed_dictionaries(needed, optional=other)
    return texts(schema)


def spoilt(body):
    """Nearly right: one part of it is another, too many, or gone."""
    def change(pair):
        base, odd, where = pair
        if not isinstance(base, dict) or where == "all":
            return odd
        changed = dict(base)
        if where == "more" or not changed:
            changed["no_such_field"] = odd
        else:
            name = sorted(changed)[len(str(odd)) % len(changed)]
            if where == "less":
                del changed[name]
            else:
                changed[name] = odd
        return changed
    return st.tuples(body, st.sampled_from(ODD_VALUES), st.sampled_from(["all", "more", "less", "other", "other"])).map(change)


RAW = [b"", b"{", b"[]", b"\xff", b'{"a":1,"a":1}', b"[" * 5000, b"null", b'{"a":"\\ud800"}', b'{"a":1e999}', b"metric,quantity\napi_calls,1\n",
       b'{"metric":"api_calls","quantity":"-5.5"}\n{"metric":"x"}', b'[{"metric":"api_calls","tenant":"globex"}]']


@st.composite
def requests(draw, document):
    """(path, template, method, operation, headers, body)."""
    template = draw(st.sampled_from(sorted(document["paths"])))
    method = draw(st.sampled_from(sorted(document["paths"][template])))
    operation = document["paths"][template][method]
    path, query, headers = template, [], {}
    for parameter in operation["parameters"]:
        is_odd = draw(st.integers(0, 9)) == 0
        if parameter["in"] == "header" or not (parameter["required"] or draw(st.booleans()) or is_odd):
            if parameter["name"] == "Idempotency-Key" and draw(st.booleans()):
                headers["Idempotency-Key"] = draw(st.sampled_from(["k1", "k2", "k3", "x" * 300]))
            continue
        value = draw(st.sampled_from(ODD_TEXTS)) if is_odd else draw(values(parameter["schema"]))
        text = json.dumps(value) if isinstance(value, bool) else str(value)
        if parameter["in"] == "path":
            path = path.replace("{%s}" % parameter["name"], urllib.parse.quote(text, safe="") or "-")
        else:
            query.append((parameter["name"], text))
    if draw(st.integers(0, 19)) == 0:
        query.append(draw(st.sampled_from([("no_such", "1"), *query])))
    if query:
        path += "?" + urllib.parse.urlencode(query)
    body = None
    content = operation.get("requestBody", {}).get("content", {})
    if content and draw(st.integers(0, 9)) == 0:
        body = draw(st.sampled_from(RAW))
        headers["Content-Type"] = draw(st.sampled_from([*content, "text/plain"]))
    elif content:
        kind = draw(st.sampled_from(sorted(content)))
        schema = content[kind]["schema"]
        right = values(schema) if schema else st.sampled_from([{"metric": "api_calls"}, [{"metric": "api_calls", "quantity": 1}] * 3])
        body = json.dumps(draw(right if draw(st.integers(0, 2)) else spoilt(right)))
        headers["Content-Type"] = kind
    return path, template, method.upper(), operation, headers, body


def check(document, operation, answer):
    """The document has this status, and this body for it."""
    told = operation["responses"].get(str(answer.status))
    assert told is not None, f"{answer.status} is not described: {answer}"
    (kind, content), = told["content"].items()
    assert answer.headers["Content-Type"] == kind, answer
    if kind == "application/json":
        validator = jsonschema.Draft202012Validator({**content["schema"], "components": document["components"]})
        fault = next(validator.iter_errors(answer.json), None)
        assert fault is None, f"{fault.message if fault else ''} at {list(fault.absolute_path)}: {answer}"
