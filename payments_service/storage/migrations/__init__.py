"""The schema's history; each revision is written once and never edited after it has landed."""
