"""What the daemon does when it is asked: the far side of `node.control`.

`node` the class that the control server calls · `views` what is shown · `opening` a round · `contributing` an expert ·
`pulling` a model.
"""
