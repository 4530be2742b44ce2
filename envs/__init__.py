"""Environments, their specs and their offline data."""
