"""Dramatiq's side: the broker, two actors and the sweep behind them; messages carry an id and nothing else."""
