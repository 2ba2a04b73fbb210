"""Decoders: from hidden states to something that is not text, boxes and masks above all."""
