"""Reads the files, keeps the last good snapshot, sees changes.

In: a folder that people and programs edit at any moment. Out: complete, immutable snapshots,
and what is wrong with which file. Knows no run, no trigger's time and no ledger but the
archive of versions; what stands *in* a file is the business of `definitions`.
"""
