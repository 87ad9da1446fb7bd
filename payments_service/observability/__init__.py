"""What people look at: logs and metrics; it knows no stage."""
