"""On demand (`make calibrate`): do the settings of the LLC hold on this sweep?

- `calibrate`: the front door: one run at a grid of settings
- `grid`: that grid, and how stiff a direction may be
- `ordering`: does another setting order task diversities otherwise?
- `propose`: one setting for all, and a verdict on the configured one
"""
