"""Facts that every model and every tool of the project shares. Remote code: imports nothing."""

SAMPLING_RATE = 16000  # of every model's input, in Hz
LABELS = ("arousal", "dominance", "valence")  # the order of the outputs of every model
LEAST_SECONDS = 0.1  # the shortest audio that a model accepts
