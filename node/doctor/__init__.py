"""What is wrong or missing on this machine, and how to fix it.

`finding` one answer · `local` folder, key, settings, disk, memory · `ports` who holds them · `network` bootstrap
addresses, clock, how others reach this node · `software` what it is built on · `examination` all of it in order.
"""
