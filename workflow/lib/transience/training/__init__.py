"""Stage 1: train one transformer on one task diversity, and keep its checkpoints.

- `train`: the front door, Adam on fresh sequences from q_M, step by step
- `step`: one optimiser step, which a GPU can replay
- `arithmetic`: how a GPU may round the products of a step
- `signals`: what a batch tells beside ideal predictors, and how much gradients vary
- `self_check`: a compiled step against the definition, before a training trusts it
- `phases`: parts of a training in which something is otherwise
- `branch`: a training that begins in the course of another one
- `detectors`: alarms that a model leaves the general solution
- `ending`: where a training ends, at its last step or at an alarm
- `state`: what is saved, and resumed from
- `schedule`: at which steps checkpoints are taken
- `kept`: what a training keeps until it is finished
- `background`: checkpoints written while training goes on
- `cuda_graph`: a step on a GPU as one launch
- `settings`: sections `training` and `checkpoints` of a configuration
- `__main__`: the command; it resumes, keeps and stops
"""
