"""Tamis: raw text shards in, promoted training mixtures out, with the evidence for every decision."""

__version__ = "0.1.0"
