"""One file a public data set: where its pictures and boxes are."""
