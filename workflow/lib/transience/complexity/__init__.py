"""Stage 3: how complex is what a run has learnt? The LLC by SGLD, and cheap indicators of it.

- `network`: the front door, `estimate_llc`, for anyone's `nn.Module`; `suggested`: settings for it;
  `module_loss`: a module's loss, and what it must be; `threads`: as many as help
- `estimator`: the same of any loss of tensors, `estimate_llc_of_loss`
- `sgld`: the sampler; `minibatches`: what its chains see; `preconditioner`: what makes them short
- `curvature`: the Hessian's spectrum; `quadrature`: the LLC from that, a second method
- `estimate`: draws, errors and flags of one estimate; `diagnostics`, `limits`: what flags compare
- `checkpoint`: a checkpoint of a run and its estimates
- `llc`: the command, on a run's chosen checkpoints; `llc_curve`: another, against h*; `no_llc`:
  where it is off; `summary`: one row a checkpoint or run
- `indicators`: gradient noise and others, at all checkpoints; `indicator_agreement`: do they
  follow the LLC?
- `settings`: sections `llc`, `indicators` and `llc_calibration` of a configuration
- `calibration`: on demand, are the settings sound?
"""
