"""The types of npm's stripe, as far as they tell an object's or a request's fields: read from its .d.ts files."""
import re

OPENING = re.compile(r"^(\s*)(?:export )?(?:declare )?(namespace|interface) ([\w.]+)(?: extends ([^{]*))? \{(\})?\s*$")
ALIAS = re.compile(r"^\s*(?:export )?type (\w+) =(.*)$")
MEMBER = re.compile(r"^(\s*)(?:readonly )?'?([\w-]+)'?(\?)?:\s*(.*)$")


class Types:
    """names: {file: {"Invoice.StatusTransitions": {field: (optional, type)} or the text of an alias}}"""

    def __init__(self, folder):
        self.names = {path: read(path) for path in sorted(folder.rglob("*.d.ts"))}

    def file_of(self, name, part):
        """The file of a resource, by the end of its path, such as Checkout/Sessions.d.ts."""
        for path in sorted(self.names, key=lambda path: len(path.parts)):
            if str(path).endswith("/" + part) and name in self.names[path]:
                return path
        raise KeyError((name, part))

    def ordered(self, name):
        """The file that is named after it first: Products.d.ts for Product, not Climate/Products.d.ts."""
        plural = name.rpartition(".")[2]
        named = plural, plural + "s"
        return sorted(self.names.items(), key=lambda pair: (pair[0].stem.split(".")[0] not in named, len(pair[0].parts)))

    def resolve(self, file, scope, name):
        """(file, full name) of what a type's text means within a scope, or None."""
        name = name.removeprefix("Stripe.")
        steps = scope.split(".") if scope else []
        for depth in range(len(steps), -1, -1):
            full = ".".join([*steps[:depth], name])
            if full in self.names[file]:
                return file, full
        for path, names in self.ordered(name):
            for candidate in (name, name.partition(".")[2]):
                if candidate and candidate in names and isinstance(names[candidate], dict) and is_resource(path, name):
                    return path, candidate
        return None


def is_resource(path, name):
    """Checkout.Session is the Session of the folder Checkout."""
    folders = name.split(".")[:-1]
    return not folders or folders[0] in path.parts or path.stem.startswith(folders[0].rstrip("s")[:8])


def read(path):
    """{full name: its fields, or what it stands for}"""
    found, stack, comment, lines = {}, [], False, path.read_text(encoding="utf-8").splitlines()
    i = 0
    while i < len(lines):
        line = lines[i]
        i += 1
        if "/*" in line or comment:
            comment = "*/" not in line
            continue
        opened = OPENING.match(line)
        if opened:
            name = opened[3].removeprefix("Stripe.")
            name = "" if name in ("Stripe", "BillingPortal", "Checkout", "Billing") and opened[2] == "namespace" else name
            if opened[2] == "interface":
                full = ".".join([*(n for n, _, _ in stack if n), name])
                found.setdefault(full, {})
            if not opened[5]:
                stack.append((name, len(opened[1]), opened[2]))
            continue
        closed = re.match(r"^(\s*)\}", line)
        if closed and stack and len(closed[1]) == stack[-1][1]:
            stack.pop()
            continue
        alias = ALIAS.match(line)
        if alias:
            text = alias[2]
            while not text.rstrip().endswith(";"):
                text += lines[i]
                i += 1
            found[".".join([*(n for n, _, _ in stack if n), alias[1]])] = text.strip().rstrip(";")
            continue
        member = MEMBER.match(line)
        if member and stack and stack[-1][2] == "interface":
            text, depth = member[4], member[4].count("{") - member[4].count("}")
            while depth > 0 or not text.rstrip().endswith(";"):
                text += " " + lines[i].strip()
                depth += lines[i].count("{") - lines[i].count("}")
                i += 1
            full = ".".join(n for n, _, _ in stack if n)
            found[full][member[2]] = bool(member[3]), text.strip().rstrip(";")
    return found


def parts_of(text):
    """The alternatives of a union."""
    found, depth, at = [], 0, 0
    for i, c in enumerate(text):
        depth += {"<": 1, "{": 1, "(": 1, ">": -1, "}": -1, ")": -1}.get(c, 0)
        if c == "|" and depth == 0:
            found.append(text[at:i])
            at = i + 1
    return [part.strip() for part in [*found, text[at:]] if part.strip()]


def faults(types, file, scope, text, value, place):
    """What is wrong with a value that should have the type; an empty list if it fits."""
    parts = parts_of(text)
    if value is None:
        return [] if "null" in parts or any(p.startswith("Emptyable") for p in parts) else [place + " is null"]
    tried = [fits(types, file, scope, part, value, place) for part in parts]
    known = [faults_of for faults_of in tried if faults_of is not None]
    return min(known, key=len) if known else ["%s: %r is not %s" % (place, value, text)]


def fits(types, file, scope, part, value, place):
    """None: quite another type; otherwise the faults within."""
    if isinstance(value, bool):
        return [] if part in ("boolean", str(value).lower()) else deeper(types, file, scope, part, value, place)
    if isinstance(value, str):
        if part in ("string", "Decimal", "Stripe.Decimal") or part == repr(value):
            return []
        return deeper(types, file, scope, part, value, place)
    if isinstance(value, (int, float)):
        return [] if part == "number" else deeper(types, file, scope, part, value, place)
    if isinstance(value, list):
        inner = re.match(r"^Array<(.*)>$", part)
        if not inner:
            return None
        return [f for i, each in enumerate(value) for f in faults(types, file, scope, inner[1], each, "%s[%d]" % (place, i))]
    listed = re.match(r"^(?:Stripe\.)?ApiList<(.*)>$", part)
    if listed:
        return faults(types, file, scope, "Array<%s>" % listed[1], value.get("data"), place + ".data")
    if part.startswith("{") or part in ("Metadata", "Stripe.Metadata", "MetadataParam"):
        return []
    return deeper(types, file, scope, part, value, place)


def deeper(types, file, scope, part, value, place):
    found = types.resolve(file, scope, part) if re.match(r"^[\w.]+$", part) else None
    if found is None:
        return None
    known = types.names[found[0]][found[1]]
    if isinstance(known, str):
        inner = faults(types, found[0], found[1].rpartition(".")[0], known, value, place)
        return None if inner and not isinstance(value, dict) else inner
    if not isinstance(value, dict):
        return None
    return of_object(types, found[0], found[1], value, place)


def of_object(types, file, name, value, place):
    known, found = types.names[file][name], []
    for field, (optional, text) in known.items():
        if field in value:
            found += faults(types, file, name, text, value[field], "%s.%s" % (place, field))
        elif not optional and field not in ("lastResponse",):
            found.append("%s.%s is missing" % (place, field))
    found += ["%s.%s is not known" % (place, field) for field in value if field not in known]
    return found


def parameters(types, file, name):
    """The fields of a request's type, each with its own below: {"items": {"price": {}}}."""
    found = {}
    for field, (_, text) in types.names[file][name].items():
        found[field] = below(types, file, name, text, 0)
    return found


def below(types, file, scope, text, depth):
    found = {}
    for part in parts_of(text):
        inner = re.match(r"^(?:Array|Emptyable|Stripe\.Emptyable)<(.*)>$", part)
        if inner:
            found.update(below(types, file, scope, inner[1], depth))
            continue
        known = types.resolve(file, scope, part) if re.match(r"^[\w.]+$", part) else None
        if known and isinstance(types.names[known[0]][known[1]], dict) and depth < 4:
            for field, (_, inner_text) in types.names[known[0]][known[1]].items():
                found[field] = below(types, known[0], known[1], inner_text, depth + 1)
    return found
