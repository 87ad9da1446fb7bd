"""What a process shows at /metrics: its counters, what it reads at a scrape, and a worker's processes as one."""
