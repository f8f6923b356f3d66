"""Scoring tracks, detections and embeddings against ground truth. NumPy, SciPy and motmetrics only."""
