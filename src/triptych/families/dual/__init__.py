"""Dual encoders: CLIP, EVA-CLIP and SigLIP."""
