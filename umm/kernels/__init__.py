"""The loops over elements: one interface, two backends with the same bits.

``portable`` is written in torch and defines what is right; ``compiled`` is the same in fused numba loops. Both are
tested against each other on every form and survey.
"""
