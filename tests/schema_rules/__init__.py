"""What each vendor takes of tools and schemas, written from its documents alone: the second entry of a double entry.

Nothing here imports the project. `violations(body)` of each module lists what the vendor would refuse or silently
ignore in the body of a chat request; the numbers are those of the vendors' fact sheets.
"""
