"""Real brokers for tests: Valkey from a wheel, RabbitMQ from Debian."""
