"""`make bench`: what the hot paths cost, each as a ratio to a baseline of the same run.

Machines are noisy and differ; ratios travel, absolute figures do not. Every measure
starts a real daemon process on a fresh workspace and looks at it from outside.
"""
