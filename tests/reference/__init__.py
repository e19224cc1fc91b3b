"""Independent readings of what was published, to hold our models against."""
