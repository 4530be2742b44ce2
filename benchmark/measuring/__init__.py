"""Measuring what backbones cost: an engine for timing, estimates that say how sure they are, and the machine's limits."""
