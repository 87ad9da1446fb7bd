"""gRPC: who calls, what they may do, and the contract's methods over the stages; it decides nothing of a payment."""
