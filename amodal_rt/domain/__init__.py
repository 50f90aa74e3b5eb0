"""The nouns of the program: values, their invariants and the tables of what may follow what.

Nothing here does I/O, reads a clock or knows a library of the outside. Instants are aware
UTC `datetime`; durations are `timedelta`.
"""
