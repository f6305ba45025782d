"""``zhenbao analyse``: a recording from a file, read on the spot, on the screen, as JSON, or on paper.

Stands beside :mod:`zhenbao.cli`: it joins formats, analysis and paper, which do not know each other. One module a
command; nothing slow is imported before a command runs.
"""
