"""The service as its users have it: everything running, spoken to from outside."""
