"""Teacher labels and the training of students."""
