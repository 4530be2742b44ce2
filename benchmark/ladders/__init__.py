"""Ladders: files that make a task harder rung by rung, and the climb that runs them. The shipped ones lie beside this."""
