"""expand[]: ids become the objects they name."""
from . import versions

# The fields that hold an id, and the kind of what they name.
NAMES = {"customer": "customer", "product": "product", "subscription": "subscription",
         "latest_invoice": "invoice", "default_payment_method": "payment_method",
         "payment_method": "payment_method", "latest_charge": "charge", "charge": "charge",
         "payment_intent": "payment_intent"}


def wanted(call):
    if call.path.startswith("/v2/"):
        return ()
    paths = call.params.get("expand")
    return paths if isinstance(paths, list) else ()


def apply(world, shown, paths, version):
    for path in paths:
        follow(world, shown, path.split("."), version, paths)


def follow(world, node, steps, version, paths):
    if isinstance(node, list):
        for each in node:
            follow(world, each, steps, version, paths)
        return
    if not isinstance(node, dict) or steps[0] not in node:
        return
    value = node[steps[0]]
    if isinstance(value, str) and steps[0] in NAMES:
        found = world.of(NAMES[steps[0]]).find(value)
        if found is not None:
            value = node[steps[0]] = versions.public(found, version)
    if len(steps) > 1:
        follow(world, value, steps[1:], version, paths)
