"""The recurrences that backbones rest on, each as one operation with several implementations.

An operation (of `selective`, `diagonal`, `linear`, `channels`, `gates`, `short_convolution`) is defined once, by a
docstring and a plain torch route. Faster routes take the same arguments and give the same numbers: C on the CPU
(`c_library`), Triton and mamba-ssm on CUDA. `choice` picks one and says why.
"""
