"""Every format that checkpoints come in and go out in, held against what else reads it.

Each check writes files of tiny random weights, lets Triptych and the reference read them, and compares what both compute
in float32. Nothing is downloaded. Where a reference library cannot be imported, its published code written plainly takes
its place, and the line says so.
"""
