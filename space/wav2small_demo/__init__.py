"""The demo page of wav2small: how does a voice sound? With an API for programs."""
