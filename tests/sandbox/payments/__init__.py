"""Cards and what is done with them: payment methods, payment intents, setup intents, refunds."""
