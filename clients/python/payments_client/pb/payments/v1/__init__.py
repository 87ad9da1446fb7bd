"""Generated from proto/; never edit."""
