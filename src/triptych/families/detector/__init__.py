"""Open-vocabulary detectors in the manner of OWL-ViT."""
