"""Measuring a model: tasks, official scores with intervals, per-sample records, and comparisons of runs.

- `triptych.evaluate.run.evaluate` asks, records, scores;
- `triptych.evaluate.compare.compare` sets runs side by side;
- `triptych.evaluate.results` reads and writes `results.json`;
- `triptych.evaluate.config` is what a recipe says about tasks.

Nothing is imported here, so that the light modules (config, results) can be had without NumPy.
"""
