"""Stripe's error shape."""
import json

DOCS = "https://stripe.com/docs/error-codes/"


class StripeError(Exception):
    """began: the work had begun, so an idempotency key keeps this answer (a refused parameter, a
    conflict, a 401 and a 429 are not kept)."""

    def __init__(self, status, message, type="invalid_request_error", code=None, param=None,
                 headers=None, began=False, extra=None):
        super().__init__(message)
        self.status, self.message, self.type = status, message, type
        self.code, self.param = code, param
        self.headers, self.began = headers or {}, began
        self.extra = extra or {}

    def body(self):
        error = {"message": self.message, "type": self.type}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = DOCS + self.code.replace("_", "-")
        if self.param:
            error["param"] = self.param
        error.update(self.extra)
        return json.dumps({"error": error}, indent=2).encode()


def missing(kind, id, param="id"):
    return StripeError(404, "No such %s: '%s'" % (kind, id), code="resource_missing", param=param)


def missing_param(name):
    return StripeError(400, "Missing required param: %s." % name, code="parameter_missing",
                       param=name)


def unknown_url(method, path):
    return StripeError(404, "Unrecognized request URL (%s: %s). If you are trying to list objects, "
                       "remove the trailing slash. If you are trying to retrieve an object, make "
                       "sure you passed a valid (non-empty) identifier in your code."
                       % (method, path))


def no_key():
    return StripeError(401, "You did not provide an API key. You need to provide your API key in "
                       "the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer "
                       "YOUR_SECRET_KEY').", headers={"WWW-Authenticate": 'Basic realm="Stripe"'})


def bad_key(key):
    shown = key[:8] + "*" * 8 + key[-4:] if len(key) > 12 else "*" * len(key)
    return StripeError(401, "Invalid API Key provided: %s" % shown,
                       headers={"WWW-Authenticate": 'Basic realm="Stripe"'})


def rate_limited(reason, message):
    return StripeError(429, message, code="rate_limit",
                       headers={"Stripe-Rate-Limited-Reason": reason})
