# Shortcuts for those who work on dsbench; users need none of them.
.PHONY: setup test lint reference readme-table

setup:
	python3 -m venv .venv
	.venv/bin/pip install -c constraints.txt -e '.[dev]' --config-settings editable_mode=strict

test:
	.venv/bin/pytest

lint:
	.venv/bin/ruff check .
	.venv/bin/mypy -p dsbench

# The table of the README and its controls: resumable, finished runs are skipped (about two hours on two cores).
reference:
	.venv/bin/python results/reference.py
