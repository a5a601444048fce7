"""Event ids that contain the time they were made at."""

import secrets
import uuid

BASE_32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BASE_62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KSUID_EPOCH_S = 1_400_000_000


def in_digits(number, digits, length):
    text = ""
    for _ in range(length):
        number, digit = divmod(number, len(digits))
        text = digits[digit] + text
    return text


def uuid7(ms, bits=None):
    bits = secrets.randbits(74) if bits is None else bits
    return str(uuid.UUID(int=ms << 80 | 7 << 76 | bits >> 62 << 64 | 2 << 62 | bits & (1 << 62) - 1))


def ulid(ms):
    return in_digits(ms << 80 | secrets.randbits(80), BASE_32, 26)


def type_id(ms):
    return "order_" + in_digits(uuid.UUID(uuid7(ms)).int, BASE_32, 26).lower()


def ksuid(ms):
    return in_digits((ms // 1000 - KSUID_EPOCH_S) << 128 | secrets.randbits(128), BASE_62, 27)


def kinds(ms):
    """One of each kind."""
    return [uuid7(ms), uuid7(ms).upper(), uuid7(ms).replace("-", ""), ulid(ms), ulid(ms).lower(), type_id(ms), ksuid(ms)]
