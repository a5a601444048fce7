"""expand[]: ids become the objects they name."""
from . import versions

# The fields that hold an id, or a list of them, and the kind of what they name.
NAMES = {"customer": "customer", "product": "product", "subscription": "subscription",
         "latest_invoice": "invoice", "invoice": "invoice", "default_payment_method": "payment_method",
         "payment_method": "payment_method", "latest_charge": "charge", "charge": "charge",
         "payment_intent": "payment_intent", "setup_intent": "setup_intent",
         "pending_setup_intent": "setup_intent", "schedule": "subscription_schedule", "price": "price",
         "discounts": "discount", "coupon": "coupon", "configuration": "billing_portal.configuration"}


def wanted(call):
    if call.path.startswith("/v2/"):
        return ()
    paths = call.params.get("expand")
    return paths if isinstance(paths, list) else ()


def apply(world, shown, paths, version):
    tree = {}
    for path in paths:
        node = tree
        for step in path.split("."):
            node = node.setdefault(step, {})
    follow(world, shown, tree, version)


def follow(world, node, tree, version):
    if isinstance(node, list):
        for each in node:
            follow(world, each, tree, version)
        return
    if not isinstance(node, dict):
        return
    for step, subtree in tree.items():
        value = node.get(step)
        if step in NAMES and isinstance(value, str):
            value = node[step] = named(world, NAMES[step], value, version, subtree)
        elif step in NAMES and isinstance(value, list):
            value = node[step] = [named(world, NAMES[step], each, version, subtree) for each in value]
        if subtree:
            follow(world, value, subtree, version)


def named(world, kind, id, version, subtree):
    found = world.of(kind).find(id) if isinstance(id, str) else None
    if found is None and kind == "coupon":
        found = world.coupons_kept.get(id)
    return id if found is None else versions.public(found, version, list(paths_of(subtree)))


def paths_of(tree):
    for step, subtree in tree.items():
        yield step
        for path in paths_of(subtree):
            yield step + "." + path
