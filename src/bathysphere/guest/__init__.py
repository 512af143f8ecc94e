"""The program that runs inside a sandbox as its first process.

It uses the standard library only and imports nothing from outside this folder, because the folder alone is
shown to the sandbox. The host imports ``frames`` from here, so that both ends share one codec.
"""
