"""The webhook bridge over real sockets."""
