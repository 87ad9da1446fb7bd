"""`payments doctor`: looks at an installation from outside, judges it, and says what to do."""
