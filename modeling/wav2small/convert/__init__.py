"""Published checkpoints in their own layouts -> checkpoints of wav2small."""
