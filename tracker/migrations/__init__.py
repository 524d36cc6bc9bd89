"""Versions of the archive's schema. A new one is a module in versions/ that follows the last."""
