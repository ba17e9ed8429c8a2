"""Stage 7: the paper's claims (its sections 4 and 5) and ours, each a function of a sweep's tables.

The paper names M at its own scale (D = 8). Here a claim is put in terms of the sweep's own M:
the *lowest*, the *intermediate* (finite, above the lowest), and infinity. Where a sweep has not
what a claim needs, the verdict is `not testable`.

- `verdicts`: the front door: all claims, checked
- `__main__`: the command
- `claim`: what a claim is, what was found about it, also along h*, and numbers in words
- `sweep_tables`: the view of the tables that claims are checked on
- `behaviour`: where models end, and whether ridge is transient
- `function_space`: trajectories and principal components
- `complexity`: losses and learning coefficients
- `prediction`: do loss and complexity predict departures from ridge? not in the paper, ours
- `interventions`: what was expected of them before any result was seen; not in the paper
"""
