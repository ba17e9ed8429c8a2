"""Stage 2: compare every checkpoint of a run with dMMSE_M and ridge.

- `evaluate`: the front door: test sets, losses and distances, predictions on the probe
- `result_tables`: what was measured, as tables
- `settings`: sections `evaluation` and `probe` of a configuration
- `__main__`: the command
"""
