# Shortcuts for those who work on dsbench; users need none of them.
.PHONY: setup test lint reference speed

setup:
	python3 -m venv .venv
	.venv/bin/pip install -c constraints.txt -e '.[dev]' --config-settings editable_mode=strict

test:
	.venv/bin/pytest

lint:
	.venv/bin/ruff check .
	.venv/bin/mypy -p dsbench

# The table of the README with its controls: 156 runs, resumable, finished ones are skipped.
DSBENCH = .venv/bin/dsbench
ALL = --backbone gpt,s4,s4d,s5,mamba,mamba2,lstm,gru,rnn,mingru,linear-attention,mlp,framestack --env umbrella --seeds 3 --results results/reference
CONTROL = --set eval.decode=sample --set eval.episodes=5000 --set train.eval_every=500

reference:
	$(DSBENCH) sweep $(ALL)
	$(DSBENCH) sweep $(ALL) $(CONTROL) --set data.permute_returns=true
	$(DSBENCH) sweep $(ALL) $(CONTROL) --set wrapper.condition=none
	$(DSBENCH) sweep $(ALL) --set env.chain_length=20 --set data.episodes=50000 --set train.updates=2500 --set train.lr=2e-3
	.venv/bin/python results/reference_table.py --write

# Every comparison of speed, about 10 minutes on an otherwise idle core.
speed:
	.venv/bin/python -m tests.benchmarks.ratios --write results/reference/speed
	.venv/bin/python results/speed_table.py --write
