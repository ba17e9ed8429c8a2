"""Stage 0: what a sweep is, and what is wrong with it, before any compute is spent.

- `configuration`: the front door: check a configuration, complete it, list its runs
- `settings`: the sections of all stages in one, and those that no stage reads
- `schema`: its keys, mistakes in words, and the JSON schema for editors
- `conditions`: what keys demand of each other
- `yaml_files`: what is wrong with a file itself
- `preflight`: may we write there, and is what stands there ours?
- `cost`: what jobs would take, for the end of a dry run
- `gpus`: what `device: auto` is, and whether there is the GPU that `cuda` asks for
- `code_digest`: what code a job runs, for Snakemake to compare
"""
