"""Stage 2: compare every checkpoint of a run with dMMSE_M and ridge.

- `evaluate`: the front door: test sets, losses and distances, predictions on the probe
- `front`: the least losses that can be had together on q_M and q_inf
- `result_tables`: what was measured, as tables
- `settings`: sections `evaluation` and `probe` of a configuration
- `__main__`: the command
"""
