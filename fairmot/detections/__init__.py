"""Detections of whole sequences without a network: kept in files, read from files, tracked from files."""
