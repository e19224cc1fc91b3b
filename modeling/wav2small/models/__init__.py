"""The networks, flat as in a checkpoint: configuration, modeling, front end, pipeline, audio."""
