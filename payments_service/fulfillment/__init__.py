"""Hands over what was paid: grant, handoff to the owner, or a plug-in; once for each payment."""
