"""Dramatiq's side: the broker, the actors and the sweep behind them; messages carry an id and nothing else."""
