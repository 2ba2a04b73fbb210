"""The kinds of models: each folder is one, and no file outside of it names it."""
