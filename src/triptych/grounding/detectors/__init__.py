"""Open-vocabulary detectors behind one interface: a picture and phrases in, named regions with scores out."""
