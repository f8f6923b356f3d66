"""Training losses. They see head maps and targets, and know neither the network nor the data set."""
