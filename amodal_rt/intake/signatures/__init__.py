"""How senders prove themselves: one verifier, and rows of data that tell it each scheme.

In: the signature header's values, the raw body, candidate secrets. Out: a verdict, for any
bytes whatever. Knows no request, no automation and no environment.
"""
