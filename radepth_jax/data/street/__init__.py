"""Procedural street worlds with exact depth, rendered on the spot."""
