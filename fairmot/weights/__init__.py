"""A checkpoint's format, written and read in one place."""
