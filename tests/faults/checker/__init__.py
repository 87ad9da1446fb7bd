"""The independent checker: it shares no code with the service, and believes only what it is told by both ends."""
