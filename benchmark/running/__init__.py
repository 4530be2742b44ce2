"""Doing runs: the parent (launcher, sweep, progress), the worker process, and the experiment that it works through."""
