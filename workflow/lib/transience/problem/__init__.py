"""The statistical problem: in-context linear regression, or another, and its ideal solutions.

- `tasks`: nested task sets T_M, and sequences of examples
- `diversity`: the task diversity M, read, written and shown
- `families`: kinds of problems, linear regression first
- `ideal_predictors`: dMMSE_M and ridge, for every prefix of a sequence
- `mixture`: the predictors between both, posterior means under a mixture of their priors
- `words`: what the ideal predictors of a family are called, in texts
- `drift`: task sets that wander while a model trains
- `randomness`: named random streams, from which all draws of a run come
- `settings`: section `task` of a configuration
"""
