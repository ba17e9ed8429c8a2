"""Stage 9: one page of HTML that needs nothing else, from tables, figures and configuration.

- `page`: the front door: render the page
- `__main__`: the command
- `pictures`: its figures, of every variant, embedded or linked
- `missing`: which figures it lacks, and why
- `headline`: what the sweep shows, in words, and what to read with care
- `explorer`: data of the interactive plot of trajectories
- `origins`: where the tables come from, and how long each rule took

Template and scripts stand in workflow/report.
"""
