"""Exact money: fractions of minor units, rounded once, half away from zero."""
from fractions import Fraction

ZERO_DECIMAL = set("bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split())
THREE_DECIMAL = set("bhd jod kwd omr tnd".split())
# Told in hundredths though they have none: https://docs.stripe.com/currencies#special-cases
IN_HUNDREDTHS = {"isk", "ugx"}


def exact(text):
    """A decimal text or whole number as a fraction; None stays None."""
    return None if text is None else Fraction(text)


def step_of(currency):
    """Amounts are multiples of it: Stripe takes no thousandths, though some currencies have them."""
    if currency in IN_HUNDREDTHS:
        return 100
    return 10 if currency in THREE_DECIMAL else 1


def rounded(amount, currency="usd"):
    """Half away from zero."""
    step = step_of(currency)
    whole = abs(Fraction(amount)) / step + Fraction(1, 2)
    units = whole.numerator // whole.denominator * step
    return units if amount >= 0 else -units


def spread(total, weights):
    """The total in whole numbers after these weights: what rounding leaves goes to the largest rests."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    shares = [Fraction(total * weight) / whole for weight in weights]
    found = [share.numerator // share.denominator for share in shares]
    rests = sorted(range(len(shares)), key=lambda i: (found[i] - shares[i], i))
    for i in rests[:total - sum(found)]:
        found[i] += 1
    return found


def digits_of(currency):
    if currency in IN_HUNDREDTHS:
        return 2
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def shown(amount, currency):
    """12.34 USD"""
    digits = digits_of(currency)
    text = str(abs(amount)).rjust(digits + 1, "0")
    if digits:
        text = text[:-digits] + "." + text[-digits:]
    return "%s%s %s" % ("-" if amount < 0 else "", text, currency.upper())
