"""Measuring a model: tasks, official scores with intervals, per-sample records, and comparisons of runs.

- `triptych.evaluate.run.evaluate` has a model do a task of a recipe, `triptych.evaluate.benchmarks.run.run_benchmark` a benchmark;
- `triptych.evaluate.engine.run` is how each of them is answered, recorded and scored;
- `triptych.evaluate.compare.compare` sets runs side by side;
- `triptych.evaluate.results` reads and writes `results.json`;
- `triptych.evaluate.config` is what a recipe says about tasks.

Nothing is imported here, so that the light modules (config, results) can be had without NumPy.
"""
