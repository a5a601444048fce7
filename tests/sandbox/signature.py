"""Stripe-Signature: t=<unix>,v1=<hex>[,v1=<hex>], one v1 for each secret that is still valid."""
import hashlib
import hmac


def header(secrets, body, timestamp):
    signed = b"%d." % timestamp + body
    parts = ["t=%d" % timestamp]
    for secret in secrets:
        parts.append("v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest())
    return ",".join(parts)
