"""Kinds of problems in context, a file each: `task.family` of a configuration is its name.

A new file here, with an object FAMILY, is a new family: nothing else needs an edit.

- `family`: what a family is
- `linear`: linear regression, y = t·x + noise
- `features`: regression on fixed nonlinear features of x, y = t·φ(x) + noise
- `gaussian_means`: two classes, x = y μ + noise with y = ±1
"""
