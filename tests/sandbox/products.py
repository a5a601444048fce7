"""Products. The caller may choose the id, which makes setting up repeatable."""
from . import params as p
from .errors import StripeError

TEXTS = ("name", "description", "unit_label", "tax_code", "url", "statement_descriptor",
         "default_price")
FIELDS = set(TEXTS) | {"metadata", "active", "images", "marketing_features", "package_dimensions",
                       "shippable", "type", "default_price_data"}


def create(world, call):
    p.check(call.params, FIELDS | {"id"}, required=("name",))
    return add(world, call, call.params)


def add(world, call, params):
    id = params.get("id") or world.ids.new("prod")
    if world.of("product").find(id):
        raise StripeError(400, "Product already exists.", code="resource_already_exists",
                          param="id")
    now = world.clock.now_s()
    product = {"id": id, "object": "product", "active": p.boolean(params, "active", True),
               "created": now, "default_price": None, "description": None, "images": [],
               "livemode": False, "marketing_features": [], "metadata": p.metadata(params),
               "name": None, "package_dimensions": None, "shippable": None,
               "statement_descriptor": None, "tax_code": None, "tax_details": None, "type": "service",
               "unit_label": None, "updated": now, "url": None}
    p.copy_texts(product, params, TEXTS)
    world.of("product").add(product)
    world.events.record("product.created", product, call)
    return product


def retrieve(world, call, id):
    return world.of("product").get(id)


def update(world, call, id):
    product = world.of("product").get(id)
    p.check(call.params, FIELDS)
    with world.events.update("product.updated", product, call):
        product["metadata"] = p.metadata(call.params, product["metadata"])
        product["active"] = p.boolean(call.params, "active", product["active"])
        p.copy_texts(product, call.params, TEXTS)
        product["updated"] = world.clock.now_s()
    return product


def delete(world, call, id):
    product = world.of("product").get(id)
    if any(price["product"] == id for price in world.of("price")):
        raise StripeError(400, "This product cannot be deleted because it has one or more "
                          "user-created prices.")
    world.of("product").remove(id)
    world.events.record("product.deleted", product, call)
    return {"id": id, "object": "product", "deleted": True}


def list_all(world, call):
    active, ids = call.params.get("active"), p.listed(call.params, "ids")

    def keep(product):
        return (active is None or product["active"] == p.boolean(call.params, "active")) \
            and (not ids or product["id"] in ids)
    return world.of("product").page(call.params, "/v1/products", keep)
