"""The verbs of ``umm round``, one a file; `rows` and `picture` are what they show."""
