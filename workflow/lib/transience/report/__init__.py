"""The report: one page of HTML that needs nothing else, made from tables, figures, configuration.

- `page`: the front door: render the page
- `__main__`: the command
- `headline`: what the sweep shows, in words, and what to read with care
- `explorer`: data of the interactive plot of trajectories
- `origins`: where the tables come from, and how long each rule took

Template and scripts stand in workflow/report.
"""
