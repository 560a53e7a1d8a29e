"""Measurements: speed against mergekit and the physical floor, and agreement with mergekit's results.

Nothing here imports the merging engine: it is run as a user runs it, through its command line.
"""
