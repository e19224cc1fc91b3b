"""Audio in: corpora, emotion norms, augmentation, the training mixture, their provenance."""
