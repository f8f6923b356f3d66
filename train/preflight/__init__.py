"""What is checked before a job may hold devices."""
