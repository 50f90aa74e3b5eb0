"""Raw request → trusted Event.

In: what a door received, unread and unbelieved. Out: a verified `Event` with what makes it a
duplicate, or a refusal with the status to answer. Knows no HTTP library, no ledger table and
no automation's work: only whose endpoint it is and how its sender proves itself.
"""
