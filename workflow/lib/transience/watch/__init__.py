"""Watch: trainings seen while they run, from their files alone; see workflow/docs/watch.md.

- `__main__`: the command: look, show and wait, again and again
- `places`: which trainings there are
- `place`: where the files of one are
- `watched`: one of them: what its files say
- `follow`: its lines, read on from where they were read to
- `course`: what is known of its course
- `life`: whether it runs, and what its silence says
- `phases`: learning, general, leaving or specialised, in numbers
- `losses`: losses of its checkpoints on test sets
- `measure`: these, measured while it trains
- `rows`: checkpoints of a training that still writes them
- `budget`: what watching may cost
- `page`: the page; template, style and script stand in workflow/report
- `drawn`: its curves and the layout of its plots
- `words`: what it says, and what to do about it
- `tensorboard`: the same as event files
- `monitor`: lines of a training of one's own
"""
