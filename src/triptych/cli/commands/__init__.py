"""The commands, a file or a folder each; see `triptych.cli.discovery`."""
