"""Where a checkpoint comes from, and the licence that follows."""
