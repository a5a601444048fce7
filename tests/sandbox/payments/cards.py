"""Stripe's test cards, by the names pm_card_… and tok_… and by number, and how each of them ends.

A card is refused when it is attached, when it is charged, or wants its holder to authenticate.
"""
from ..errors import StripeError

MESSAGES = {
    "card_declined": "Your card was declined.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
}
AUTHENTICATE = "Your card was declined. This transaction requires authentication."


class Card:
    """attach, charge: "ok" or the decline code; charge also "authenticate" (always) or
    "authenticate_once" (until it was set up for later)."""

    def __init__(self, name, brand, number, attach="ok", charge="ok"):
        self.name, self.brand, self.number = name, brand, number
        self.attach, self.charge = attach, charge

    @property
    def last4(self):
        return self.number[-4:]


def declined(name, number, code):
    return Card(name, "visa", number, code, code)


CARDS = [
    Card("visa", "visa", "4242424242424242"),
    Card("us", "visa", "4242424242424242"),
    Card("visa_debit", "visa", "4000056655665556"),
    Card("mastercard", "mastercard", "5555555555554444"),
    Card("amex", "amex", "378282246310005"),
    Card("discover", "discover", "6011111111111117"),
    Card("diners", "diners", "3056930009020004"),
    Card("jcb", "jcb", "3566002020360505"),
    Card("unionpay", "unionpay", "6200000000000005"),
    Card("chargeCustomerFail", "visa", "4000000000000341", charge="generic_decline"),
    declined("chargeDeclined", "4000000000000002", "generic_decline"),
    declined("visa_chargeDeclined", "4000000000000002", "generic_decline"),
    declined("chargeDeclinedInsufficientFunds", "4000000000009995", "insufficient_funds"),
    declined("visa_chargeDeclinedInsufficientFunds", "4000000000009995", "insufficient_funds"),
    declined("visa_chargeDeclinedLostCard", "4000000000009987", "lost_card"),
    declined("visa_chargeDeclinedStolenCard", "4000000000009979", "stolen_card"),
    declined("chargeDeclinedExpiredCard", "4000000000000069", "expired_card"),
    declined("chargeDeclinedIncorrectCvc", "4000000000000127", "incorrect_cvc"),
    declined("chargeDeclinedProcessingError", "4000000000000119", "processing_error"),
    Card("threeDSecure2Required", "visa", "4000000000003220", charge="authenticate"),
    Card("threeDSecureRequired", "visa", "4000000000003220", charge="authenticate"),
    Card("authenticationRequired", "visa", "4000002760003184", charge="authenticate"),
    Card("authenticationRequiredOnSetup", "visa", "4000002500003155", charge="authenticate_once"),
    Card("threeDSecureOptional", "visa", "4000000000003055"),
]
BY_NAME = {card.name: card for card in CARDS}
BY_NUMBER = {card.number: card for card in reversed(CARDS)}


def named(id):
    """The card of pm_card_visa or tok_visa, or None."""
    for prefix in ("pm_card_", "tok_"):
        if isinstance(id, str) and id.startswith(prefix):
            return BY_NAME.get(id[len(prefix):])
    return None


def numbered(number):
    card = BY_NUMBER.get("".join(c for c in number if c.isdigit()))
    if card is None:
        raise StripeError(402, "Your card number is incorrect.", type="card_error",
                          code="incorrect_number", param="number")
    return card


def refusal(decline_code):
    """(code, decline code, message) of a card that does not pay."""
    if decline_code == "authenticate":
        return "authentication_required", "authentication_required", AUTHENTICATE
    if decline_code == "insufficient_funds":
        return "card_declined", decline_code, "Your card has insufficient funds."
    code = decline_code if decline_code in MESSAGES else "card_declined"
    return code, (decline_code if code == "card_declined" else None), MESSAGES[code]


def card_error(decline_code, extra=None):
    code, decline, message = refusal(decline_code)
    return StripeError(402, message, type="card_error", code=code, began=True,
                       extra={**({"decline_code": decline} if decline else {}), **(extra or {})})
