"""The in-context transformer: its definition, and its loss and gradient at speed.

- `transformer`: the readable definition, and the flat vector of its parameters
- `loss_and_gradient`: the front door, the same function and its gradient without autograd
- `autograd`: the front door of a GPU's training step, where bytes count, not operations
- `folding`: parameters as the fast computation wants them, and their gradients' way back
- `operations`: what lies between matrix products, in PyTorch, for any device and dtype
- `kernels`: the same for the CPU in float32
- `settings`: section `model` of a configuration
- `hessian`: products with the Hessian of the loss, from that gradient
"""
