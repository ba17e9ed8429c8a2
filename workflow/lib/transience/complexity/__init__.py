"""Stage 3: how complex is what a run has learnt? The LLC by SGLD, and cheap indicators of it.

- `estimator`: the front door, `estimate_llc`, of any loss
- `sgld`: the sampler; `minibatches`: what its chains see
- `estimate`: draws, errors and flags of one estimate; `diagnostics`, `limits`: what flags compare
- `llc`: the command, on a run's chosen checkpoints; `no_llc`: where it is off; `summary`: one row
  a checkpoint or run
- `indicators`: gradient noise and others, at all checkpoints; `indicator_agreement`: do they
  follow the LLC?
- `settings`: sections `llc`, `indicators` and `llc_calibration` of a configuration
- `calibration`: on demand, are the settings sound?
"""
