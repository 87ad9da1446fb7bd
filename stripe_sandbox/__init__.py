"""A sandbox that speaks Stripe's wire format; it imports nothing of the service."""
