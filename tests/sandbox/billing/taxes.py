"""Tax rates, and what they add to an invoice, or say to be in it. Each rate is rounded once an invoice."""
from fractions import Fraction

from .. import params as p
from ..errors import StripeError, missing_param
from .money import rounded, spread

TEXTS = ("description", "display_name", "jurisdiction", "country", "state", "tax_type")


def create(world, call):
    params = call.params
    percentage = read_percentage(params)
    rate = world.of("tax_rate").add({
        "id": world.ids.new("txr", 24), "object": "tax_rate", "active": p.boolean(params, "active", True),
        "country": None, "created": world.clock.now_s(), "description": None, "display_name": None,
        "effective_percentage": percentage, "flat_amount": None, "inclusive": p.boolean(params, "inclusive"),
        "jurisdiction": None, "jurisdiction_level": None, "livemode": False,
        "metadata": p.metadata(params), "percentage": percentage, "rate_type": "percentage",
        "state": None, "tax_type": None, "_exact": Fraction(params["percentage"])})
    p.copy_texts(rate, params, TEXTS)
    world.events.record("tax_rate.created", rate, call)
    return rate


def read_percentage(params):
    """A JSON number; at most four places, so that its text is exact."""
    text = str(params.get("percentage", ""))
    if not text:
        raise missing_param("percentage")
    value = Fraction(text)
    if not 0 <= value <= 100 or value * 10000 % 1:
        raise StripeError(400, "Invalid decimal: %s; must be from 0 to 100 with at most 4 places" % text,
                          param="percentage")
    return int(value) if value.denominator == 1 else float(text)


def retrieve(world, call, id):
    return world.of("tax_rate").get(id)


def update(world, call, id):
    rate = world.of("tax_rate").get(id)
    with world.events.update("tax_rate.updated", rate, call):
        rate["active"] = p.boolean(call.params, "active", rate["active"])
        rate["metadata"] = p.metadata(call.params, rate["metadata"])
        p.copy_texts(rate, call.params, TEXTS)
    return rate


def list_all(world, call):
    flags = p.flags(call.params, ("active", "inclusive"))
    return world.of("tax_rate").page(call.params, "/v1/tax_rates", lambda rate: all(
        rate[name] == value for name, value in flags.items()))


def read_rates(world, params, name, shown=None):
    """The rates of a list of ids."""
    found = []
    for i, id in enumerate(p.listed(params, name)):
        rate = world.of("tax_rate").get(id, "%s[%d]" % (shown or name, i))
        if not rate["active"]:
            raise StripeError(400, "You cannot use the inactive tax rate %s." % id, param=shown or name)
        found.append(rate)
    return found


def apply(invoice, lines, default_rates, tax_exempt="none"):
    """Fill the lines' taxes and the invoice's; -> (what is added, what is included)."""
    for line in lines:
        line["taxes"] = []
    if tax_exempt != "none":
        invoice["total_taxes"] = []
        return 0, 0
    by_rate, currency = {}, invoice["currency"]
    for line in lines:
        for rate in line["_rates"] or default_rates:
            by_rate.setdefault(rate["id"], (rate, []))[1].append(line)
    totals = {True: 0, False: 0}
    invoice["total_taxes"] = []
    for rate, taxed in by_rate.values():
        bases = [base_of(line, line["_rates"] or default_rates) for line in taxed]
        amount = rounded(sum(bases) * rate["_exact"] / 100, currency)
        totals[rate["inclusive"]] += amount
        for line, part, base in zip(taxed, spread(amount, bases), bases):
            line["taxes"].append(tax(rate, part, rounded(base, currency)))
        invoice["total_taxes"].append(tax(rate, amount, rounded(sum(bases), currency)))
    return totals[False], totals[True]


def base_of(line, rates):
    """What the line costs without taxes, after its discounts; exact."""
    net = line["amount"] - sum(d["amount"] for d in line["discount_amounts"])
    inside = sum(rate["_exact"] for rate in rates if rate["inclusive"])
    return Fraction(net) * 100 / (100 + inside)


def tax(rate, amount, base):
    return {"amount": amount, "tax_behavior": "inclusive" if rate["inclusive"] else "exclusive",
            "tax_rate_details": {"tax_rate": rate["id"]},
            "taxability_reason": "not_available", "taxable_amount": base, "type": "tax_rate_details"}
