"""Tapes: exchanges with real servers, kept in a file, and played again without a network and without a key.

`tape.py` has the two ends, `recording.py` and `playing.py` what they do, `matching.py` which answer belongs to which
request, `hiding.py` what never gets into a file, and `files.py` the file.
"""
