"""The log and its streams on a real SQLite file: nothing lost, nothing twice, nothing out of order."""
