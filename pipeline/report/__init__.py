"""Stored results -> one HTML page for a person; `page.py` is the way in, the other modules gather and draw."""

from pipeline.report.page import write_report

__all__ = ["write_report"]
