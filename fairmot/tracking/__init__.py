"""Tracking: detections of a sequence, frame by frame, become identities. NumPy, SciPy and lap only."""
