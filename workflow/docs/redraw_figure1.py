"""Redraw the paper's Figure 1 from the tables alone: python redraw_figure1.py TABLES_FOLDER."""

import sys

import matplotlib.pyplot as plt
import pandas as pd

names = ("evaluation", "trajectory_pca", "transient_ridge")
ev, pca, tr = (pd.read_parquet(f"{sys.argv[1]}/{name}.parquet") for name in names)
ood = ev[(ev["distribution"] == "gaussian") & ev["position"].isna()]  # mean over positions
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.5), layout="constrained")
for m, runs in ood.groupby("num_tasks"):
    left.plot(runs.groupby("step")["loss"].mean(), label=f"M = {m:g}")  # mean over seeds
left.set(xlabel="training step", ylabel="loss on new tasks", xscale="symlog", yscale="log")
for m, run in pca[pca["seed"] == pca["seed"].min()].groupby("num_tasks"):
    (line,) = middle.plot(run["pc1"].where(run["step"].notna()), run["pc2"], label=f"M = {m:g}")
    for predictor, marker in {"dmmse": "D", "ridge": "s"}.items():
        ideal = run[run["predictor"] == predictor]
        middle.plot(ideal["pc1"], ideal["pc2"], marker, color=line.get_color())
middle.set(xlabel="PC1", ylabel="PC2")
for column, marker in {"distance_to_dmmse_at_end": "D", "distance_to_ridge_at_end": "s"}.items():
    right.plot(tr["num_tasks"].astype(str), tr[column], marker, label=column)
right.set(xlabel="M", ylabel="mean squared difference", yscale="log")
[axes.legend(fontsize=7) for axes in (left, right)]
plt.savefig("figure1_redrawn.png", dpi=150)
