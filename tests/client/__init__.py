"""The Python client against servers that follow the contract, and against the service itself."""
