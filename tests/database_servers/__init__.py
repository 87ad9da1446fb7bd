"""Real database servers for the tests, started from what `make setup` or apt-get has installed."""
