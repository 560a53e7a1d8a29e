"""What to merge and how, as plain data: the YAML language, its checks, its canonical form and digest."""
