"""The lane of vendors' batches: rows go by files, at half the price, and what is missing goes online.

`lane.py` takes rows through it, `desk.py` does what is to be done with one batch, `api.py` speaks with the vendor, as
its facts say, and `log.py` keeps what was begun, so that nothing is begun or paid twice.
"""
