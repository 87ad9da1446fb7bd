"""What people look at: logs, later metrics and traces; it knows no stage."""
