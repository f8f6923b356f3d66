"""From a trained network or an exported file to detections and tracks."""
