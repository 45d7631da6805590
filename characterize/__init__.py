"""Plans, Monte-Carlo runs, samples, statistics and tables of partial-sum errors."""
