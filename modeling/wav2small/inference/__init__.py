"""What a user of a model calls: predictions of files, windows and streams, without torch."""
