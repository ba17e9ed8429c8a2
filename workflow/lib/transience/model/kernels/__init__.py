"""What lies between matrix products, for the CPU in float32; entered by `loss_and_gradient` alone.

- `operations`: `model.operations` in buffers, by the kernels below
- `attention`: causal attention over a few dozen tokens, and its gradient
- `layers`: embedding, LayerNorm and ReLU, and their gradients
- `lanes`: sixteen numbers side by side, of which all kernels are made
- `compilation`: how Numba compiles them, and where it keeps the machine code
"""
