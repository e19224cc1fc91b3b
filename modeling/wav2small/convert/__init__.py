"""Published checkpoints in their own layouts -> ours."""
