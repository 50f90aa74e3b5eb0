"""The verbs that every door shares.

In: a verb, its arguments and who asks through which door. Out: the JSON documents of
specification §9, or an `AmodalError`. Doors translate and rooms do; what is allowed, and what
a verb means, is decided here and nowhere else. Knows no HTTP and no terminal.
"""
