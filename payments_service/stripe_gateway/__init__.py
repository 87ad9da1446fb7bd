"""The only place that speaks to Stripe: its client, its metadata, its signatures."""
