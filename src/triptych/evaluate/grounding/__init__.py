"""Measuring grounders: expressions are asked, regions are scored."""
