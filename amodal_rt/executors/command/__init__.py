"""Runs programs: a command of an automation, from its event to its outcome.

In comes a run whose automation names a program; out goes what that printed. How a program is
held is the business of `executors.sandbox`, what is written down of `executors.acting`.
"""
