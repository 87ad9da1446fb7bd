"""The append-only log of fulfillment events; positions are gap-free, and a cursor is a position and no authority."""
