"""The gateway against the sandbox Stripe, and against servers that break what they answer."""
