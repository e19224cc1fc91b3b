"""A small Hub on loopback, for tests: its store, its HTTP, its endpoints, and the server that clients talk to."""
