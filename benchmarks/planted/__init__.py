"""Planted bugs: what each check's bug costs a small network. ``python benchmarks/planted`` measures; ``results.py`` reads."""
