"""Tasks: what is asked of a dataset, how answers are judged, and which scores follow."""
