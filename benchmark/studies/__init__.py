"""Studies: a question, the grid of runs that answers it, and the published numbers beside the answer, each in one file."""
