"""The HTTP bridge: bytes in, verified, stored, 200. It never works on an event."""
