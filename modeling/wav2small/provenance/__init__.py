"""What a checkpoint was made from, and the licence that follows."""
