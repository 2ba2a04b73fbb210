"""A family that nobody has built in: a vector-quantised autoencoder of pictures (van den Oord et al., 2017)."""
