"""The `payments` command: starts processes and speaks gRPC to running ones; it decides nothing."""
