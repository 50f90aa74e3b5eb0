"""The dashboard: pages for people, rendered here, that work without a script.

In: requests of browsers with a session. Out: HTML made from what `operations` answers, and one
stream. Decides nothing, and knows no ledger.
"""
