"""Stripe's own command line, fetched from npm for the tests that drive the sandbox with it."""
