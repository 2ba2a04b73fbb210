"""The first stage of BLIP-2: a Q-Former that reads pictures and texts."""
