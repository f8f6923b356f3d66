"""The command that searches the tracker's rules on detections that are found once."""
