"""SQLStorage's database: how it is named, as ever and as now; when it is reached, and when it is away."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, create_engine, event, text

from tests.test_sql_storage import batch_of, paths, queries, size
from tracker.database import engine_for, newest, version
from tracker.settings import NoArchive, Settings
from tracker.storage import Away
from tracker.storage.sql import SQLStorage


def is_made(url: str) -> bool:
    with engine_for(url).connect() as connection:
        return version(connection) == newest()


def test_it_connects_at_the_first_hit_and_not_before(tmp_path: Path, free_port: int) -> None:
    with queries() as asked:
        SQLStorage(url=f"sqlite:///{tmp_path / 'hits.db'}")
        SQLStorage(url=f"postgresql://u@127.0.0.1:{free_port}/x")
    assert asked == []
    assert list(tmp_path.iterdir()) == []


def test_a_database_out_of_reach_is_away_until_it_is_there(tmp_path: Path, free_port: int) -> None:
    for url in (
        f"postgresql://u:secret@127.0.0.1:{free_port}/x",
        f"mariadb://u:secret@127.0.0.1:{free_port}/x",
    ):
        for action in (lambda s: s.store(batch_of(1)), lambda s: list(s.hits(None, None))):
            with pytest.raises(Away, match="refused") as told:
                action(SQLStorage(url=url))
            assert "secret" not in str(told.value)
    storage = SQLStorage(url=f"sqlite:///{tmp_path / 'later' / 'hits.db'}")
    with pytest.raises(Away, match="unable to open"):
        storage.store(batch_of(1))
    (tmp_path / "later").mkdir()
    storage.store(batch_of(1))
    assert len(paths(storage)) == 10


def test_a_database_that_was_emptied_is_made_again(archive_url: str) -> None:
    storage = SQLStorage(url=archive_url)
    storage.store(batch_of(1))
    with engine_for(archive_url).begin() as connection:
        for table in ("hits", "archive_cursors", "alembic_version"):
            connection.execute(text(f"DROP TABLE {table}"))
    with pytest.raises(Away):
        storage.store(batch_of(2))
    storage.store(batch_of(2))
    assert size(archive_url) == 10
    assert is_made(archive_url)


@pytest.mark.parametrize("url", ["hits.db", "oracle://u:secret@host/x", "sqlite://", "postgresql://h:port/x"])
def test_an_address_that_can_never_work_is_told_at_once(url: str) -> None:
    with pytest.raises(NoArchive) as told:
        SQLStorage(url=url)
    assert "secret" not in str(told.value)


def test_without_an_address_the_archive_of_the_settings_is_meant(
    archive_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITWALL_ARCHIVE", archive_url)
    SQLStorage().store(batch_of(1))
    assert size(archive_url) == 10
    monkeypatch.delenv("HITWALL_ARCHIVE")
    storage = SQLStorage()  # TrackUsage may have some for it
    with pytest.raises(NoArchive, match="set HITWALL_ARCHIVE"):
        storage.settings = Settings()
    storage.settings = replace(Settings(), archive=archive_url)
    storage.store(batch_of(2))
    assert size(archive_url) == 20


def test_an_engine_lends_its_address_and_password(archive_url: str, free_port: int) -> None:
    storage = SQLStorage(create_engine(archive_url.replace("postgresql:", "postgresql+psycopg:")))
    storage.store(batch_of(1))
    assert size(archive_url) == 10
    passwords: list[str] = []

    def connecting(dialect: Any, record: Any, words: Any, options: dict[str, Any]) -> None:
        passwords.append(options["password"])

    event.listen(Engine, "do_connect", connecting)
    try:
        with pytest.raises(Away):
            SQLStorage(create_engine(f"mysql+pymysql://u:p%40:%2F@127.0.0.1:{free_port}/x")).store(
                batch_of(1)
            )
    finally:
        event.remove(Engine, "do_connect", connecting)
    assert passwords == ["p@:/"]


def test_an_engine_in_memory_is_told_at_once() -> None:
    with pytest.raises(NoArchive, match="in memory would be lost"):
        SQLStorage(create_engine("sqlite://"))


def test_flask_sqlalchemy_lends_its_address_within_its_application(archive_url: str) -> None:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = archive_url.replace("postgresql:", "postgresql+psycopg:")
    db = SQLAlchemy(app)
    with pytest.raises(RuntimeError, match=r"with app\.app_context"):
        SQLStorage(db=db)
    with app.app_context():
        storage = SQLStorage(db=db)
    storage.store(batch_of(1))
    assert size(archive_url) == 10


def test_what_is_not_used_any_more_is_told(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'hits.db'}")
    with pytest.warns(
        UserWarning, match="does not use table_name: it keeps hits in a table of its own"
    ) as told:
        SQLStorage(engine, None, "flask_usage")
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match="does not use metadata"):
        SQLStorage(engine, metadata=object())
    with pytest.raises(TypeError, match="one database"):
        SQLStorage(engine, url="sqlite:///hits.db")


def test_storages_of_two_databases_have_two_names_whatever_the_password() -> None:
    names = {SQLStorage(url=f"mariadb://u:{password}@h/{name}").name for name in "ab" for password in "pq"}
    assert len(names) == 2
    assert all(name.startswith("sqlstorage-") for name in names)
