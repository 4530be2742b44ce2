"""Ladders: how far contestants reach on tasks that get harder rung by rung; from rows of runs to what a page says."""
