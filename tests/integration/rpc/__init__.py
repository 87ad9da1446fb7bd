"""The gRPC server as callers see it: a real server, a real channel, a real database, the sandbox for Stripe."""
