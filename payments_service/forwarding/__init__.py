"""Passes on, by HTTP, the events that are not ours: to the handlers of plans and credits on the same Stripe account."""
