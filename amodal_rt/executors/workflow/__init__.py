"""Workflows: a graph of nodes, walked from what started the run to an end, and their scripts.

In comes a run whose work is a workflow; out goes its last value, or word that the run must wait.
What stands in the journal is not done again. Knows no file: the graphs are parsed and checked.
Only `sandbox` imports the library that runs scripts; the first script loads it.
"""
