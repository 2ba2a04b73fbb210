"""The ways in which datasets of conversations are written, each read whole or refused by the name of what is not read.

record ──keys──► pictures (paths, data: URIs, bytes) ┐
       ──keys──► turns (ShareGPT, OpenAI, Cauldron)  ┴──► messages

keys           which keys carry media, instructions and weights; which are refused
pictures       values that name or hold a picture → Image
turns          turns of any dialect → roles with texts, places of pictures, pictures
conversations  both together → messages
"""
