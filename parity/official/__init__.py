"""Our readings of the official scoring scripts of public benchmarks against the scripts themselves, and against lmms-eval."""
