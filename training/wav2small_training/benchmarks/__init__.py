"""Size, time and memory, measured side by side."""
