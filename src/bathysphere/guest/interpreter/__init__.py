"""The program that runs cells: a child of process 1, with all that the image's python has, and the user's code in it.

Nothing that it says is believed. It only has to keep working whatever ordinary code does to it: its modules have a
name that no user's file has, builtins of their own, and hold what they need of the standard library themselves.
"""
