"""The facts: who said what, and is it so. Knows nothing of how models are merged."""
