"""Every run as tables: SQL over a results folder, and Parquet for other programs.

results/<lab>/<run id>/ ─▶ rows.py (a run's rows) ─┬─▶ index.py (one DuckDB file) ─▶ query.py ─▶ Answer
                                                   └─▶ export.py ─▶ TABLE/lab=…/day=…/part.parquet (a folder, or S3)
"""
