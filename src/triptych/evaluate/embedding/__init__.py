"""Tasks in which nobody answers: directions of pictures and texts are compared."""
