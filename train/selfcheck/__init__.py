"""First contact with a device: what it computes beside stored values, what it does when a step overflows, how fast."""
