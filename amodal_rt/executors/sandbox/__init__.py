"""Runs a program where it can do no more than its profile says.

In come a profile, an argument list and what stands on standard input; out comes how the
program ended and what it printed. The room knows no run and no ledger; which hosts may be
reached is its profile's word, and which addresses is the egress guard's.
"""
