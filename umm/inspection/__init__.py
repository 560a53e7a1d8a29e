"""Looking before merging: what each expert changed, where, and what that says about a merge.

``scan`` reads the folders and adds up ``sums``; ``spectrum`` looks at a sample of each matrix; ``report``
turns the sums into shares and angles; ``caution`` turns those into words; ``table``, ``page`` and
``figure`` show them. Only ``scan`` reads and only the last three know what a reader looks at: everything
between is a pure function.
"""
