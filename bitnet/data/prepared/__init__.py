"""Tokens prepared once and read from memory maps: shards, their making, and the feed over them.

`prepare` makes a folder, `PreparedCorpus` opens it, `PreparedFeed` gives the samples of a run.
"""
