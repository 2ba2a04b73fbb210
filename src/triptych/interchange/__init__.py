"""Runs as folders that other libraries load (`exporting`), and models of other libraries as runs (`importing`)."""
