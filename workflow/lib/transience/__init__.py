"""Transient structure in in-context linear regression transformers.

The mathematics of the workflow, one idea a module, in the order of the argument:

- `randomness`: every random number is a function of (seed, stream)
- `tasks`: nested task sets and sequences of examples
- `predictors`: dMMSE_M and ridge, the two ideal predictors
- `transformer`: the model as a pure function of one flat parameter vector
- `gradients`: the same function and its gradient, fast; `folding` and `operations` are its parts,
  `kernel_operations`, `kernels`, `attention_kernels`, `lanes` and `compilation` its CPU kernels
- `training`: Adam on fresh data, resumable, with checkpoints; on a GPU by `cuda_graph`
- `evaluation`: losses and distances of every checkpoint
- `sgld`, `minibatches`, `llc_estimate`, `llc`: the local learning coefficient; `llc_calibration`,
  `llc_ordering`, `llc_proposal` and `curvature` choose its settings
- `indicators`, `indicator_agreement`: cheap indicators of it
- `trajectory_pca`, `trajectory_subspace`: the joint trajectory PCA, and how far to trust its plane
- `transient_ridge`, `claims`: t_crit, distances, and the paper's claims on finished tables
- `free_energy`: does the trade-off of loss and complexity predict the departure from ridge?
- `figures`, `findings`, `explorer`, `report`: what a reader sees

`checkpoints`, `resume`, `tables`, `collect` and `run_identity` are about the files between the
stages, `verify` checks them all; `configuration`, `code_digest` and `command` are what the workflow
needs of us. Nothing here knows of Snakemake.

Symbols in shapes: **B** sequences, **K** examples a sequence, **D** task dimension, **M** tasks
(task diversity), **T** = 2K tokens, **C** embedding width, **P** parameters.
"""
