"""`make demo`: a whole round between real nodes on this machine, and two frauds that are found out.

`models` trains a base and three experts · `nodes` runs nodes as processes · `view` shows a round while it goes on ·
`__main__` tells the story.
"""
