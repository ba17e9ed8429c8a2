"""Stage 8: figures of a sweep, each a function of the tables that it reads and a smoothing window.

- `draw`: the front door: draw a figure by its name, save it; it loads that figure alone
- `__main__`: the command
- `captions`: which figures there are, the tables that each reads, what to look for
- `style`: sizes, fonts, the one colour scale of M, axes, keys
- `panels`: grids of panels in figures of many variants, and their colours
- `kinds`: rows of panels for variants of one kind, where they are many
- `doses`: interventions that differ in strength and onset alone, and what to call them
- `curves`: losses and distances over training
- `against_diversity`: quantities of a run against its M
- `outcomes`: predicted against observed departures of runs

A file and a function for each figure, of the figure's name:

- `figure1`: the paper's Figure 1, transient ridge
- `trajectory_pca`: joint trajectories, every seed
- `subspace`: how far to trust their plane
- `loss_by_distribution`: losses on training tasks, new tasks and the root task
- `ood_loss_by_position`: the loss on new tasks by position in the context
- `distances`: from ridge to dMMSE_M over training
- `loss_and_llc`: the paper's Figure 3, loss and LLC against M
- `llc_curve`: the LLC against h*, by two methods
- `llc_over_training`: loss, LLC and a cheap indicator of it over training
- `departure`: when runs leave ridge, and when loss and complexity say they should
- `departure_prediction`: departures predicted by theories and by M alone, for runs not seen
- `alarms`: when detectors say that a run leaves ridge, and what stopping there costs
- `llc_diagnostics`: can the LLC be trusted?
- `interventions`: what each variant bought beside its control, and what it cost
- `intervention_maps`: what of the loss on new tasks is preserved, by onset and strength
- `dose_response`: what an intervention preserves and costs against its strength
- `branches`: branches where they leave their parent, in the joint trajectory PCA
- `pareto`: where runs end in the plane of both losses
- `variants`: losses on new tasks of all variants, side by side, where there are several
- `scaling`: how M_1/2 and the times go with each setting, and what that foretells
- `llc_calibration`: are the settings of the LLC sound? On demand, no part of the report
- `settings`: section `figures` of a configuration
"""
