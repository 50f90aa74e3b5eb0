"""Types of events, one file for each source; `catalogue.py` reads them."""
