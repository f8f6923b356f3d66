"""From files on disk to batches: labels, index, augmentation, targets, order, loader."""
