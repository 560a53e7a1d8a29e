"""A round as people write it, in a file or with flags, made into one that can be signed.

`document` the file as plain data · `table` its fields, strictly · `moments` durations and times · `draft` the round ·
`preview` the record that would be signed · `sample` a file to begin with. `docs/ROUNDS.md` describes the file.
"""
