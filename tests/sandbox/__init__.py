"""The sandbox is tried by Stripe's own client, over HTTP."""
