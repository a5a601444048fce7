"""The account: clients ask for it to check a key."""


def retrieve(world, call):
    return {"id": "acct_sandbox", "object": "account", "country": "US", "default_currency": "usd",
            "charges_enabled": True, "details_submitted": True, "email": None, "type": "standard",
            "metadata": {}}
