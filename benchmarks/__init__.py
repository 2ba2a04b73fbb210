"""Side-by-side measurements against what a user would otherwise write: `python -m benchmarks [names] [--runs N] [--quick]`.

Every measurement is a process of its own, the sides take turns, and what is compared is the median of the ratios of
neighbouring runs. Results are written to `benchmarks/results/`: JSON with every figure, Markdown to read.
"""
