"""How the learned behaviour policies in ``envs/assets`` were made.

These commands need the packages of ``requirements-behaviour.txt``; nothing else in dsbench does, the policies are shipped
as plain arrays and run in numpy.
"""
