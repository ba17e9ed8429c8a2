"""Do finished results belong together? `python -m transience.verify results/laptop`.

- `inspection`: the front door: what is checked, in which order, and what was found
- `files`: what should be there, and is it whole
- `metadata`: does it say what config.json, the file's place and its neighbours say
- `numbers`: do the numbers of a run stem from its seed's tasks and from its checkpoints
- `__main__`: the command

Every problem is a line `path: expected …, found …; what to do`. No rule imports this package, so
that a new check makes nobody's results out of date.
"""
