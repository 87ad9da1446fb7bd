"""Programs that measure; `make bench-streams` runs those of the streams."""
