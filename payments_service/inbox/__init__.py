"""Stripe's events: received, claimed, applied and settled; a row here is the truth, a wake-up only a hint."""
