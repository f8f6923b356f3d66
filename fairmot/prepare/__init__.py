"""One small file a public data set: from a download to images, labels and lists as training reads them."""
