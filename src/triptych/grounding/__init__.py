"""Visual grounding: models that point. The modules are imported one by one, because `config` is light:

config     how a recipe says that regions are written: as text, as an embedding, by a call of a detector
grounding  the answer: regions with their phrases, and who gives it
transform  regions through every preparation of pictures and back
formats    regions as text
"""
