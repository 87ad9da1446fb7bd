"""What an order knows and what follows from it: pure, so that it can be tested in microseconds."""
