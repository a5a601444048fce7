"""Checking and reading request parameters, with Stripe's messages."""
from .errors import StripeError, missing_param

COMMON = {"expand"}


def check(params, allowed, required=()):
    """Refuse what the endpoint does not know, and ask for what it needs."""
    for name in params:
        if name not in allowed and name not in COMMON:
            raise StripeError(400, "Received unknown parameter: %s" % name,
                              code="parameter_unknown", param=name)
    for name in required:
        if params.get(name) in (None, "", {}, []):
            raise missing_param(name)


def text(params, name, default=None, most=5000, shown=None):
    value = params.get(name, default)
    if value is None or value == "":
        return default if name not in params else None
    if not isinstance(value, str):
        raise StripeError(400, "Invalid string: %s" % (value,), param=shown or name)
    if len(value) > most:
        raise StripeError(400, "Invalid string: must be at most %d characters" % most,
                          param=shown or name)
    return value


def integer(params, name, default=None, shown=None):
    value = params.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not value.lstrip("-").isdecimal() or len(value) > 20:
        raise StripeError(400, "Invalid integer: %s" % (value,),
                          code="parameter_invalid_integer", param=shown or name)
    return int(value)


def boolean(params, name, default=False):
    value = params.get(name)
    if value is None or value == "":
        return default
    word = str(value).lower()       # older clients for Python write True
    if word in ("true", "false"):
        return word == "true"
    raise StripeError(400, "Invalid boolean: %s" % (value,), param=name)


def one_of(params, name, choices, default=None, shown=None):
    value = params.get(name)
    if value is None or value == "":
        return default
    if value not in choices:
        names = ", ".join(choices[:-1]) + (", or " if len(choices) > 1 else "") + choices[-1]
        raise StripeError(400, "Invalid %s: must be one of %s" % (shown or name, names),
                          param=shown or name)
    return value


def metadata(params, old=None):
    """Merged as Stripe does: an empty value removes a key, an empty metadata removes all."""
    given = params.get("metadata")
    if given is None:
        return dict(old or {})
    if given == "":
        return {}
    if isinstance(given, list):     # metadata[0]=x has only digits for keys
        given = {str(i): value for i, value in enumerate(given)}
    if not isinstance(given, dict):
        raise StripeError(400, "Invalid object", param="metadata")
    merged = dict(old or {})
    for key, value in given.items():
        if value in ("", None):
            merged.pop(key, None)
        else:
            merged[key] = str(value)
    return merged


def listed(params, name):
    """The elements of an array parameter."""
    value = params.get(name)
    if value in (None, ""):
        return []
    if not isinstance(value, list):
        raise StripeError(400, "Invalid array", param=name)
    return value


def group(params, name):
    """A nested parameter such as recurring[...]."""
    value = params.get(name)
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        raise StripeError(400, "Invalid object", param=name)
    return value


def flags(params, names):
    """{name: boolean} of those that a filter names."""
    return {name: boolean(params, name) for name in names if params.get(name) not in (None, "")}


def copy_texts(target, params, names):
    """Take over the given plain parameters; an empty one unsets."""
    for name in names:
        if name in params:
            target[name] = params[name] or None


def in_range(value, bounds, name="created"):
    """created=5 or created[gte]=5&created[lt]=9"""
    if bounds in (None, ""):
        return True
    if not isinstance(bounds, dict):
        return value == integer({name: bounds}, name)
    tests = {"gt": value.__gt__, "gte": value.__ge__, "lt": value.__lt__, "lte": value.__le__}
    for key in bounds:
        if key not in tests:
            raise StripeError(400, "Received unknown parameter: %s[%s]" % (name, key),
                              code="parameter_unknown", param=name)
        if not tests[key](integer(bounds, key)):
            return False
    return True
