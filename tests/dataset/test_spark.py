"""Spark reads the exported files: the questions in docs/query.md have the same answers there, on executors of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enaxp.dataset.export import Folder
from enaxp.dataset.query import ask
from enaxp.dataset.tables import NAMES
from tests.dataset.conftest import Results
from tests.dataset.test_export import exported
from tests.dataset.test_index import bring
from tests.dataset.test_questions import QUESTIONS, rounded

pytestmark = pytest.mark.acceptance


@pytest.fixture
def spark(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A session on a cluster of two workers on this machine, reachable from here alone."""
    import pyspark
    from pyspark.sql import SparkSession

    monkeypatch.setenv("SPARK_HOME", str(Path(pyspark.__file__).parent))
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.executor.memory": "1g",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
    }
    builder = SparkSession.builder.master("local-cluster[2,1,1024]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()


def test_every_question_has_the_answer_of_the_index(spark: Any, many: Results, tmp_path: Path) -> None:
    exported(many, Folder(path=tmp_path / "out"))
    for name in NAMES:
        spark.read.parquet(os.fspath(tmp_path / "out" / name)).createOrReplaceTempView(name)
    index = bring(many).path

    for question in QUESTIONS:
        assert rounded(tuple(row) for row in spark.sql(question).collect()) == rounded(ask(index, question).rows)
