"""Checkouts over a real SQLite file and the sandbox Stripe, called by HTTP with Stripe's own client."""
