"""A plug-in, as somebody else would write one."""
