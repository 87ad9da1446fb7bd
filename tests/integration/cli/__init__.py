"""The command line as another process, before a service of canned answers."""
