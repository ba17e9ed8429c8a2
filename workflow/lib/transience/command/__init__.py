"""What every command (`python -m transience.<stage>`) has in common; nothing here changes a number.

- `flags`: the command line, and what a command reads of the configuration
- `inputs`: what it is given: files of its experiment, with numbers in them
- `device`: where it computes
- `entry`: how it ends, in one line where a user can mend it
- `progress`: how far it is
- `provenance`: where the files that it writes come from
"""
