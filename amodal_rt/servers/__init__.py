"""Doors in: they translate and decide nothing.

In: HTTP over TCP or the unix socket. Out: calls of `operations`, and their answers as
status, headers and JSON. A door knows no ledger, no file and no automation's work.
"""
