"""Stage 5: trajectories in function space: where the checkpoints of all task diversities go.

A checkpoint is the vector of its predictions on the probe, and so are dMMSE_M and ridge.

- `joint_pca`: one plane for the trajectories of all M; the command and front door
- `pca`: principal components, chunk by chunk
- `trajectory`: trajectories read and grouped, and how far one bends towards ridge
- `robustness`: how far to trust the plane, and what chance would give; a command
- `settings`: section `trajectory_pca`
"""
