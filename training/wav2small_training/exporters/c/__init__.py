"""Checkpoints -> two files of C99: network, weights, front end, and three ways to listen."""
