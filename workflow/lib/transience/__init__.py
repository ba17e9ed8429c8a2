"""Transient structure in in-context linear regression transformers.

The mathematics of the workflow and its commands, a package a stage, in the order of the argument;
the rule files in workflow/rules bear the same names. Each package's docstring maps its files.

What every stage stands on:

- `problem`: task sets, sequences, and the ideal predictors dMMSE_M and ridge
- `files`: tables, checkpoints, and what they say of where they come from
- `model`: the transformer, its loss and gradient
- `run`: one model of a sweep, with its problem
- `trained`: a run and its checkpoints, opened from files
- `command`: flags, progress, errors in one line; nothing here changes a number
- `settings`, `errors`: what typed settings are, and the one error that a user is meant to read

The stages:

- `planning` (0): what a sweep is, and every mistake in its configuration
- `training` (1): Adam on fresh data, resumable, with checkpoints
- `evaluation` (2): losses and distances of every checkpoint
- `complexity` (3): the local learning coefficient, and cheap indicators of it
- `collect` (4): one table of the sweep from the tables of its runs
- `trajectories` (5): the joint trajectory PCA, and how far to trust its plane
- `departure` (6): when runs are nearest ridge, when they leave it, and whether that was foretold
- `claims` (7): the paper's claims, tested on the finished tables
- `figures` (8), `report` (9): what a reader sees
- `verify`: do finished results belong together?
- `watch`: trainings seen while they run

Nothing here knows of Snakemake. Symbols in shapes: **B** sequences, **K** examples a sequence,
**D** task dimension, **M** tasks (task diversity), **T** = 2K tokens, **C** embedding width,
**P** parameters.
"""
