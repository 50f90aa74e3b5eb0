"""Workflows: graphs of nodes, and the scripts in them.

Only `sandbox` imports the library that runs scripts; the first script loads it.
"""
