"""The field's benchmarks: tasks as declarative files, their official formats, their official scores."""
