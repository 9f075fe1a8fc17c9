"""Recorded episodes played through the model, scored, compared and held to bounds."""
