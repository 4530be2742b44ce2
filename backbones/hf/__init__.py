"""Backbones of transformers by model type (``hf:gpt2``, ``hf:llama``, ``hf:mamba``, ``hf:mamba2``), weights random.

The model is transformers' own, fed with embeddings and stepped through its own cache, whose tensors are the `State`.
Modules here import transformers, so they are imported when such a name is used.
"""
