"""The promise that nothing is lost, judged over real processes that are killed, stopped, cut off and starved."""
