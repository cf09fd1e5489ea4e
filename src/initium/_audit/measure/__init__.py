"""The instrument: construction under observation, one pass over the values, a probe forward and backward. It judges nothing."""
