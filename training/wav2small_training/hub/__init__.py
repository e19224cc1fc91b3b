"""Cards, checks and uploads of finished folders."""
