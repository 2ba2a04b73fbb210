"""Regions as text. Each format is a module with one class of the interface `format.Format`; `build` takes the recipe's word."""
