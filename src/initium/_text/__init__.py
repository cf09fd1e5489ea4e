"""Text: plans and recipes as JSON and YAML, and back. ``codec.py`` has the words that both share."""
