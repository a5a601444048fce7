"""What a request may carry, by operation and Stripe-Version, and the refusal of anything else.

The tables: an operation, then a line for each parameter, a space deeper than the one that holds it: a name ([]
for an array's elements, * for any key of a map), types joined by |, then ! if it is required where its parent
is given, ~ if the empty text may stand for it. more.txt has, for all versions, the operations that the others lack.
"""
import os
import re

from .. import versions
from ..errors import StripeError, missing_param

FOLDER = os.path.dirname(os.path.abspath(__file__))
OLD, NEW = "2024-06-20", versions.CURRENT
UNSET = ("coupon",)         # taken empty, though the types do not say so
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?\Z")


class Parameter:
    __slots__ = ("types", "choices", "required", "empty", "children")

    def __init__(self, text):
        self.required, self.empty = "!" in text[-2:], "~" in text[-2:]
        self.types, self.choices, self.children = [], [], {}
        for kind in re.findall(r"[a-z]+(?:\([^)]*\))?", text):
            name, _, inner = kind.partition("(")
            self.types.append(name)
            if inner:
                self.choices += inner[:-1].split(",")


def read(name):
    """{operation: its lines}; they are understood when somebody asks for the operation."""
    found, lines = {}, []
    with open(os.path.join(FOLDER, name + ".txt"), encoding="utf-8") as f:
        for line in f.read().splitlines():
            if line[:1] == " ":
                lines.append(line)
            elif line and line[0] != "#":
                lines = found[line] = []
    return found


def understood(lines):
    root = Parameter("object")
    stack = [root]
    for line in lines:
        depth = len(line) - len(line.lstrip(" "))
        name, _, text = line.strip().partition(" ")
        parameter = Parameter(text)
        del stack[depth:]
        stack[-1].children[name] = parameter
        stack.append(parameter)
    root.children.setdefault("expand", expand())
    return root


def expand():
    parameter = Parameter("array")
    parameter.children["[]"] = Parameter("string")
    return parameter


class Tables:
    def __init__(self):
        self.texts = {}         # version -> {operation: lines}
        self.trees = {}         # (version, operation) -> Parameter

    def tree(self, version, operation):
        key = version, operation
        if key not in self.trees:
            if not self.texts:
                more = read("more")
                self.texts = {name: {**more, **read(name)} for name in (OLD, NEW)}
            lines = self.texts[version].get(operation)
            self.trees[key] = None if lines is None else understood(lines)
        return self.trees[key]


TABLES = Tables()


def check(operation, params, version):
    """Between the two versions that there is a table of, what either of them takes is taken."""
    if versions.is_legacy(version):
        known = [OLD]
    else:
        known = [NEW] if version[:10] >= NEW[:10] else [NEW, OLD]
    trees = [tree for tree in (TABLES.tree(name, operation) for name in known) if tree]
    for i, tree in enumerate(trees):
        try:
            return check_children(tree, params, "")
        except StripeError:
            if i == len(trees) - 1:
                raise
    return None


def check_children(parameter, given, shown):
    children = parameter.children
    anything = children.get("*")
    for name, value in given.items():
        child = children.get(name) or anything
        full = "%s[%s]" % (shown, name) if shown else name
        if child is None:
            raise StripeError(400, "Received unknown parameter: %s" % full, code="parameter_unknown",
                              param=full)
        check_value(child, value, full)
    for name, child in children.items():
        if child.required and name not in given:
            raise missing_param("%s[%s]" % (shown, name) if shown else name)


def check_value(parameter, value, shown):
    types = parameter.types
    if "any" in types or "**" in parameter.children:
        return
    if isinstance(value, list) and "map" in types:      # metadata[0]=x has only digits for keys
        return
    if isinstance(value, list):
        if "array" not in types:
            raise wrong(parameter, value, shown)
        for i, element in enumerate(value):
            check_value(parameter.children["[]"], element, "%s[%d]" % (shown, i))
    elif isinstance(value, dict):
        if "object" not in types and "map" not in types:
            raise wrong(parameter, value, shown)
        check_children(parameter, value, shown)
    elif value == "":
        if not parameter.empty and not is_missing_text(parameter) and shown not in UNSET:
            raise StripeError(400, "You passed an empty string for '%s'. We assume empty values are "
                              "an attempt to unset a parameter; however '%s' cannot be unset. You "
                              "should remove '%s' from your request or supply a non-empty value."
                              % (shown, shown, shown), code="parameter_invalid_empty", param=shown)
    elif not any(fits(kind, value, parameter) for kind in types):
        raise wrong(parameter, value, shown)


def is_missing_text(parameter):
    """An empty text that is required is said to be missing, by whom it concerns."""
    return parameter.required and parameter.types == ["string"]


def fits(kind, value, parameter):
    if kind == "string":
        return True
    if kind in ("enum", "const"):
        return value in parameter.choices
    if kind == "boolean":
        return value.lower() in ("true", "false")
    if kind == "integer":
        return value.lstrip("-").isdecimal()
    return kind in ("number", "decimal") and NUMBER.match(value) is not None


def wrong(parameter, value, shown):
    types = parameter.types
    if "array" in types and "object" not in types:
        return StripeError(400, "Invalid array", param=shown)
    if "object" in types or "map" in types:
        return StripeError(400, "Invalid object", param=shown)
    if isinstance(value, (dict, list)):
        return StripeError(400, "Invalid string: %s" % value, param=shown)
    if parameter.choices:
        names = parameter.choices
        listed = ", ".join(names[:-1]) + (", or " if len(names) > 1 else "") + names[-1]
        return StripeError(400, "Invalid %s: must be one of %s" % (shown, listed), param=shown)
    if "boolean" in types:
        return StripeError(400, "Invalid boolean: %s" % value, param=shown)
    if "decimal" in types:
        return StripeError(400, "Invalid decimal: %s" % value, param=shown)
    return StripeError(400, "Invalid integer: %s" % value, code="parameter_invalid_integer",
                       param=shown)
