"""The public contract in Python: generated stubs, and what converts between messages and rows."""
