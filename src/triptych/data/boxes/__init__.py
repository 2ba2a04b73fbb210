"""Datasets of boxes and masks as conversations with regions: one reader per format, one form of conversation.

record ──► Expression(text, regions, kind) ──► found: "Find the left zebra." → Region · annotations["grounding"]
caption ─► phrases with regions ─────────────► described: "a man" R " and " "his dog" R
"""
