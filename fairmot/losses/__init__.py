"""Training losses. They see what the heads say and targets, and know neither the network nor the data set."""
