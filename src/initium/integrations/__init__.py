"""Glue for other libraries: imported by name only, never by the library itself."""
