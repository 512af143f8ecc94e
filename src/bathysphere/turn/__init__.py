"""A turn: the loop between a model and the tools that it calls."""
