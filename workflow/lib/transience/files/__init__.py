"""Files between the stages: what is in them, where it comes from, and that they are whole.

- `tables`: Parquet files that keep to workflow/schemas/tables.yaml
- `checkpoints`: parameters of a run over training, in one safetensors file
- `read_ahead`: checkpoints on a device, the next ones read while one is worked on
- `pinned`: how a thread waits for a GPU that copies
- `metadata`: what every file says of its origin, and whether files belong together
- `selections`: what figures, claims and the report all read out of tables
- `atomic`: files that are there whole or not at all
- `lines`: a training told step by step while it runs
- `unfinished`: where a killed job finds what it left
- `dictionary`: results/README.md, from the schemas
"""
