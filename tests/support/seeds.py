"""What tests at random begin with. `make test` always does the same, so that a failure is of the change
that it comes with; `make soak` does something new each time, and prints what repeats it."""

import os
import secrets

SOAKING = bool(os.environ.get("SOAK"))


def new_seed(fixed=1):
    """A number as text. SEED=… of the environment is taken before all."""
    seed = os.environ.get("SEED") or str(secrets.randbelow(10**9) if SOAKING else fixed)
    print(f"SEED={seed}")
    return seed


def seconds(name, short, long):
    """How long a round may be: the setting of this name, or the one for the occasion."""
    return int(os.environ.get(name) or (long if SOAKING else short))
