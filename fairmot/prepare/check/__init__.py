"""Looking over a prepared data set before it costs a training: findings, statistics, report."""
