"""The decision step of any backbone without Python: ONNX Runtime on the CPU, a captured graph on CUDA.

One route for all contestants: `dsbench.backbones.stepper.acting_copy` of the backbone, its `step` with the leaves of the
state as plain inputs and outputs, fixed rows. On the CPU, AOTInductor was measured against ONNX Runtime (3 layers of
width 64, one row, one thread): equal for s4d and lstm, 2 times faster for mamba, but it needs a C++ compiler wherever it
runs and 2 to 5 times as long to make, so ONNX Runtime it is.
"""

from __future__ import annotations

from dsbench.backbones.compiled.stepper import CompiledStepper, compile_stepper

__all__ = ["CompiledStepper", "compile_stepper"]
