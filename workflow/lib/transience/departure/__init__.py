"""Stage 6: departures from ridge: which runs come near the general solution, when they leave, why.

- `transient_ridge`: t_crit, distances then and at the end, and the bend towards ridge; a command
- `free_energy`: does the trade-off of loss and complexity predict when a run leaves? a command
- `alarms`: how early alarms are raised, how often wrongly, and what heeding them costs
- `branch_point`: where a branch leaves another run, if that is said in words; a command
- `branch_trajectories`: where branches go in the joint PCA of the variant they leave; a command
- `interventions`: what variants of training do to departures, and whether it is worth it; a command
- `scaling`: how thresholds and times go with one setting each, and what that foretells; a command
- `variants`: sections of the configuration as a variant has them, its control, where it leaves it
- `course`: what a run has used by a step
- `observed`: when a run left ridge, by the checkpoints before and after
- `knobs`: which one setting a variant turns, and how far
- `power_law`: least squares in logarithms, of several factors at once
- `thresholds`: the task diversity at which models end halfway between dMMSE_M and ridge
- `predicted`: when it should have left, by the paper's eq. 8
- `agreement`: how well predictors order the departures
- `held_out`: which theory predicts the departure of runs it has not seen? a command
- `rational`: when it should have left, by the rational model of Wurgaft et al.
- `laws`: what foretells departures from a few numbers: both theories, and M alone
- `censored`: the fit of a law to departures that are known by bounds only
- `paired`: what interventions do in the mean over seeds, with intervals
- `pareto`: how far a predictor is from the best that can be had on q_M and q_inf at once
- `scores`: how well each law predicts
"""
