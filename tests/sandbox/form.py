"""Stripe's form encoding: a[b][0][c]=v, a[]=v, brackets raw or as %5B; values stay text."""
from urllib.parse import unquote_plus

from .errors import StripeError


def parse(text):
    root = {}
    if not text:
        return root
    for pair in text.split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        if "%" in name or "+" in name:
            name = unquote_plus(name)
        if "%" in value or "+" in value:
            value = unquote_plus(value)
        if "[" in name:
            put(root, split_name(name), value)
        else:
            root[name] = value
    return settle(root) if "[" in text or "%5" in text else root


def split_name(name):
    head, _, rest = name.partition("[")
    if not rest.endswith("]"):
        raise StripeError(400, "Invalid parameter name: %s" % name, param=name)
    return [head] + rest[:-1].split("][")


def put(node, keys, value):
    for key, following in zip(keys, keys[1:]):
        key = next_index(node, following, keys) if key == "" else key
        child = node.get(key)
        if not isinstance(child, dict):
            child = node[key] = {}
        node = child
    last = keys[-1]
    node[str(len(node)) if last == "" else last] = value


def next_index(node, following, keys):
    """a[][x]=1&a[][y]=2 fills one element until a key repeats in it."""
    last = str(len(node) - 1)
    if node and isinstance(node.get(last), dict) and following not in node[last]:
        return last
    return str(len(node))


def settle(node):
    """Dictionaries with the keys 0, 1, 2, … become lists."""
    for key, child in node.items():
        if isinstance(child, dict):
            node[key] = settle(child)
    if node and all(key.isdigit() for key in node):
        return [node[key] for key in sorted(node, key=int)]
    return node
