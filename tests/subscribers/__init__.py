"""Durable subscribers: members, shards, exceptions, and what operators ask."""
