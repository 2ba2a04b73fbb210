"""Scores as pure functions: of captions (CIDEr-D, BLEU, ROUGE-L), of detection, and their bootstrap intervals."""
