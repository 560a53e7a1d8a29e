"""The life of a round on this node.

`proceedings` what was said · `gathering` hearing what others said · `announcements` telling what we say.
"""
