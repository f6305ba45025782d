"""The kit: what the village doctor carries. Everything works without a network."""
