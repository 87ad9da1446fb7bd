"""The first stage: a checkout is asked for, committed as an order, and made at Stripe."""
