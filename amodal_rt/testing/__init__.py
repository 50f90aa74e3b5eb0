"""Doubles for our tests and for the tests of users: a clock that is held, a real receiver.

Nothing of the program imports this room.
"""
