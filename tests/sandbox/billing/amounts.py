"""What a quantity costs at a price: one part, or one for each tier that it reaches."""
from fractions import Fraction

from .money import exact


class Part:
    """amount: exact, in minor units; unit: the text of what one costs, None where it is not even."""
    __slots__ = ("amount", "quantity", "unit", "tier")

    def __init__(self, amount, quantity, unit=None, tier=None):
        self.amount, self.quantity, self.unit, self.tier = amount, quantity, unit, tier


def transformed(price, quantity):
    transform = price["transform_quantity"]
    if not transform:
        return quantity
    packages, rest = divmod(quantity, transform["divide_by"])
    return packages + (1 if rest and transform["round"] == "up" else 0)


def parts(price, quantity):
    """A negative quantity, which corrections may leave, counts as none."""
    quantity = max(quantity, 0)
    if price["billing_scheme"] == "per_unit":
        unit = exact(price["unit_amount_decimal"]) or Fraction(0)
        return [Part(unit * transformed(price, quantity), quantity, price["unit_amount_decimal"])]
    if price["tiers_mode"] == "volume":
        return [volume(price["tiers"], quantity)]
    return graduated(price["tiers"], quantity)


def total(price, quantity):
    return sum(part.amount for part in parts(price, quantity))


def of_tier(tier, quantity, number):
    unit, flat = exact(tier["unit_amount_decimal"]), exact(tier["flat_amount_decimal"])
    return Part((unit or 0) * quantity + (flat or Fraction(0)), quantity,
                None if flat else tier["unit_amount_decimal"], number)


def volume(tiers, quantity):
    for number, tier in enumerate(tiers, 1):
        if tier["up_to"] is None or quantity <= tier["up_to"]:
            return of_tier(tier, quantity, number)
    raise AssertionError("the last tier has no end")


def graduated(tiers, quantity):
    """The first tier counts even without a unit in it: its flat amount is a fee."""
    found, below = [], 0
    for number, tier in enumerate(tiers, 1):
        if number > 1 and quantity <= below:
            break
        up_to = quantity if tier["up_to"] is None else min(quantity, tier["up_to"])
        found.append(of_tier(tier, up_to - below, number))
        below = up_to
    return found
