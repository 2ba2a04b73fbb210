"""Training: stages, objectives, the loop, checkpoints."""
