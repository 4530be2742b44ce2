# Shortcuts for those who work on dsbench; users need none of them.
.PHONY: setup test lint reference tasks variance studies questions mujoco ladders bench bench-full gallery speed docs

setup:
	python3 -m venv .venv
	.venv/bin/pip install -c constraints.txt -e '.[dev]' --config-settings editable_mode=strict

test:
	.venv/bin/pytest -n 2

lint:
	.venv/bin/ruff check .
	.venv/bin/mypy -p dsbench

# What a target made goes into its pack, where the next one finds it, and the records made here go with their checkpoints.
# $(call packed,FOLDER,FILE,runs|bench)
define packed
$(DSBENCH) pack $(1) --only $(3) --out $(1)/$(2) --command "make $@"
	rm -rf $(1)/$(3)
endef

# Five seeds wherever contestants are compared: three cannot support a claim. Everything is resumable, finished runs are skipped.

# The table of umbrella with its controls: 280 runs.
DSBENCH = .venv/bin/dsbench
ALL = --backbone gpt,s4,s4d,s5,mamba,mamba2,lstm,gru,rnn,mingru,linear-attention --control mlp,copier,window --env umbrella --seeds 5 --results results/reference
CONTROL = --set eval.decode=sample --set eval.episodes=5000 --set train.eval_every=500

reference:
	$(DSBENCH) sweep $(ALL)
	$(DSBENCH) sweep $(ALL) $(CONTROL) --set data.permute_returns=true
	$(DSBENCH) sweep $(ALL) $(CONTROL) --set wrapper.condition=none
	$(DSBENCH) sweep $(ALL) --set env.chain_length=20 --set data.episodes=50000 --set train.updates=2500 --set train.lr=2e-3
	$(call packed,results/reference,umbrella.dsb,runs)
	.venv/bin/python results/reference_table.py --write

# The table of the tasks that need no simulator, with its controls: 710 runs of about half a minute.
TASKS = umbrella,memory-len,memory-size,repeat-first,repeat-previous,door-key,graph-walk,cartpole,cartpole-position,cartpole-velocity,cartpole-noisy,key-to-door,key-to-apples

tasks:
	$(DSBENCH) sweep --backbone gpt,s4d,mamba,lstm --control random,mlp,copier,window,bc,top10-bc,optimal --env $(TASKS) --seeds 5 --results results/reference/tasks
	$(call packed,results/reference/tasks,tasks.dsb,runs)
	.venv/bin/python results/tasks_table.py --write

# Where the spread between seeds comes from: two runs on each of five data sets, for two backbones and all of these tasks.
variance:
	for set in 0 1 2 3 4; do $(DSBENCH) sweep --backbone gpt,lstm --env $(TASKS) --set data.seed=$$set --seeds $$((2 * set)),$$((2 * set + 1)) --results results/reference/variance || exit 1; done
	$(call packed,results/reference/variance,variance.dsb,runs)
	.venv/bin/python results/variance_table.py --write

# What the labels of the tasks stand on, and key-to-door, graph-walk and the memory probe.
STUDY = $(DSBENCH) sweep --results results/reference/studies --seeds 5
MEMORY = memory-len,memory-size,repeat-first,repeat-previous,recall,state-tracking,t-maze,cartpole-position,cartpole-noisy,key-to-apples
LONGER = --set data.episodes=10000 --set train.batch_size=64 --set train.updates=1500 --set train.eval_every=500

studies:
	for recipe in random medium expert mixed replay; do $(STUDY) --backbone lstm --control mlp,copier --env $(MEMORY) --data $$recipe || exit 1; done
	$(STUDY) --backbone gpt,lstm --control bc --env key-to-door
	$(STUDY) --backbone gpt,lstm --env key-to-door $(LONGER)
	$(STUDY) --backbone gpt,s4d,mamba,lstm,mlp --env key-to-door --data medium --set train.objective=probe --set wrapper.condition=none
	for graph in 0 1 2; do for split in stitch uniform; do \
	  $(STUDY) --backbone gpt,lstm --control mlp --env graph-walk --set env.graph_seed=$$graph --set env.split=$$split || exit 1; done; done
	$(call packed,results/reference/studies,studies.dsb,runs)
	.venv/bin/python results/studies_table.py --write

# The studies that ship, each at its quick size and with its page: at most 25 minutes a study on two idle cores, resumable.
QUESTIONS = latency-context umbrella-length token-layout low-budget context-limit s4-vs-rnn

questions:
	for name in $(QUESTIONS); do $(DSBENCH) study $$name --size quick --results results/reference/questions || exit 1; done
	$(DSBENCH) pack results/reference/questions --out results/reference/questions/questions.dsb --command "make questions"
	rm -rf results/reference/questions/runs results/reference/questions/bench

# Every ladder, at its budget and at twice that, a pack each; resumable, many hours of two cores.
# The seeds are those of no pilot (results/reference/pilots).
LADDERS = memory-span memory-capacity recall selection copy-back state-tracking credit-noise credit-delay stitching partial-control beyond-training little-data small-model
CLIMBERS = gpt,s4d,s5,mamba,mamba2,lstm,gru

ladders:
	for name in $(LADDERS); do \
	  $(DSBENCH) ladder $$name --backbone $(CLIMBERS) --twice --seeds 20,21,22,23,24 --results results/reference/ladders/$$name || exit 1; \
	  $(DSBENCH) pack results/reference/ladders/$$name --only runs --out results/reference/ladders/$$name/$$name.dsb --command "make ladders" || exit 1; \
	  rm -rf results/reference/ladders/$$name/runs; done

# Three simulated bodies, two recipes: 240 runs of a minute or two.
MUJOCO = $(DSBENCH) sweep --backbone gpt,s4d,mamba,lstm --control mlp,copier,window,bc --env hopper,halfcheetah,walker2d --seeds 5 --results results/reference/mujoco

mujoco:
	$(MUJOCO) --set data.recipe=medium
	$(MUJOCO) --set data.recipe=medium-replay
	$(call packed,results/reference/mujoco,mujoco.dsb,runs)
	.venv/bin/python results/mujoco_table.py --write

# What a decision costs: latency, memory, size and throughput of seven backbones side by side, 10 minutes at most when idle.
bench:
	$(DSBENCH) bench --backbones gpt,s4,s4d,s5,mamba,mamba2,lstm --results results/reference
	$(call packed,results/reference,bench.dsb,bench)
	.venv/bin/python results/bench_table.py --write

# The same to 4,000 timesteps, 64 rows and training rows of 16k, at most a minute a cell: 20 minutes when idle.
bench-full:
	$(DSBENCH) bench --full --rounds 10 --limit 60 --results results/reference/full
	$(call packed,results/reference/full,full.dsb,bench)

# docs/gallery.md and its pictures, out of everything above.
gallery:
	.venv/bin/python results/gallery.py

# Every comparison of speed, about 10 minutes on an otherwise idle core.
speed:
	.venv/bin/python -m tests.benchmarks.ratios --write results/reference/speed
	.venv/bin/python results/speed_table.py --write

# The site of docs/, into site/ (extra docs).
docs:
	.venv/bin/sphinx-build -W -q -b html docs site
	@echo "Saved   site/index.html"
