"""What launcher and pre-flight both know of a job: rank table, starter, where the first host listens."""
