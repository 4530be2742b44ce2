# Shortcuts for those who work on dsbench; users need none of them.
.PHONY: setup test lint reference

setup:
	python3 -m venv .venv
	.venv/bin/pip install -c constraints.txt -e '.[dev]' --config-settings editable_mode=strict

test:
	.venv/bin/pytest

lint:
	.venv/bin/ruff check .
	.venv/bin/mypy -p dsbench

# The table of the README with its controls: 72 runs, resumable, finished ones are skipped.
DSBENCH = .venv/bin/dsbench
SIX = --backbone gpt,s4,s4d,mamba,lstm,mlp --env umbrella --seeds 3 --results results/reference
CONTROL = --set eval.decode=sample --set eval.episodes=5000 --set train.eval_every=500

reference:
	$(DSBENCH) sweep $(SIX)
	$(DSBENCH) sweep $(SIX) $(CONTROL) --set data.permute_returns=true
	$(DSBENCH) sweep $(SIX) $(CONTROL) --set wrapper.condition=none
	$(DSBENCH) sweep $(SIX) --set env.chain_length=20 --set data.episodes=50000 --set train.updates=2500 --set train.lr=2e-3
	.venv/bin/python results/reference_table.py --write
