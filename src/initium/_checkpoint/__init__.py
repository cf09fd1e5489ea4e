"""Checkpoints: a plan streamed to files without holding the model. ``write.py`` first."""
