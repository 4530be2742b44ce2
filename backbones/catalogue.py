"""Names of the built-in backbones; importable without torch."""

from dsbench.outside.listing import Roots
from dsbench.registry import Catalogue, Entry, Family

BACKBONES = Catalogue(
    "backbone",
    [
        Entry("gpt", "causal self-attention over a sliding window, with a key-value cache", "Radford et al. 2019",
              "dsbench.backbones.gpt:GPT"),
        Entry("s4", "structured state space, diagonal plus low rank (HiPPO-LegS)", "Gu et al. 2022, arXiv:2111.00396",
              "dsbench.backbones.s4:S4"),
        Entry("s4d", "structured state space, diagonal; preset=decision-s4", "Gu et al. 2022, arXiv:2206.11893",
              "dsbench.backbones.s4d:S4D"),
        Entry("s5", "structured state space, many inputs and outputs, run as a scan",
              "Smith et al. 2023, arXiv:2208.04933", "dsbench.backbones.s5:S5"),
        Entry("mamba", "selective state space (S6)", "Gu and Dao 2023, arXiv:2312.00752",
              "dsbench.backbones.mamba:Mamba"),
        Entry("mamba2", "selective state space with a decay per head (SSD)", "Dao and Gu 2024, arXiv:2405.21060",
              "dsbench.backbones.mamba2:Mamba2"),
        Entry("lstm", "long short-term memory", "Hochreiter and Schmidhuber 1997", "dsbench.backbones.lstm:LSTM"),
        Entry("gru", "gated recurrent unit", "Cho et al. 2014, arXiv:1406.1078", "dsbench.backbones.gru:GRU"),
        Entry("rnn", "plain tanh recurrence; the ablation of Decision S4", "Elman 1990", "dsbench.backbones.rnn:RNN"),
        Entry("mingru", "gated recurrence that is linear in its state, run as a scan",
              "Feng et al. 2024, arXiv:2410.01201", "dsbench.backbones.mingru:MinGRU"),
        Entry("linear-attention", "causal attention with a feature map in place of softmax, as running sums",
              "Katharopoulos et al. 2020, arXiv:2006.16236", "dsbench.backbones.linear_attention:LinearAttention"),
        Entry("mlp", "memoryless control: each output sees its own token only", "control",
              "dsbench.backbones.mlp:MLP"),
        Entry("framestack", "memoryless control: each output sees its last k tokens only", "control",
              "dsbench.backbones.framestack:FrameStack"),
    ],
    group="dsbench.backbones",
    families=[
        Family("hf", "model_type", "a model of transformers, random weights: gpt2, llama, mamba, mamba2",
               "Hugging Face transformers",
               {"gpt2": "dsbench.backbones.hf.attention:GPT2", "llama": "dsbench.backbones.hf.attention:Llama",
                "mamba": "dsbench.backbones.hf.recurrent:Mamba", "mamba2": "dsbench.backbones.hf.recurrent:Mamba2"},
               extra="hf"),
    ],
    roots=Roots("dsbench.backbones", ("Backbone", "ResidualBackbone"), ("Mixer",)),
)  # fmt: skip
