"""Addresses of clusters, and which node holds which slot."""

import pytest

from hitwall.cli import _where
from tracker import casts
from tracker.cluster_map import Map, is_cluster, node_url, read_map, seeds
from tracker.storage.reached import location

ASKED = ("10.0.0.9", 7000)
A, B, C = ("10.0.0.1", 7000), ("10.0.0.2", 7000), ("10.0.0.3", 7001)


@pytest.mark.parametrize(
    ("url", "nodes"),
    [
        ("redis+cluster://a:7000", [("a", 7000)]),
        ("redis+cluster://a,b:7001,10.0.0.1/", [("a", 6379), ("b", 7001), ("10.0.0.1", 6379)]),
        ("rediss+cluster://me:s%2Cc%40t@a:1,[::1]:2/0?ssl_cert_reqs=none", [("a", 1), ("::1", 2)]),
    ],
)
def test_the_address_of_a_cluster_names_some_of_its_nodes(url: str, nodes: list[tuple[str, int]]) -> None:
    assert is_cluster(casts.redis_url(url))
    assert seeds(url) == nodes
    assert f"-c -h {nodes[0][0]} -p {nodes[0][1]}" in _where(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://",
        "redis+cluster://a,",
        "redis+cluster://a:0",
        "redis+cluster://a:70000",
        "redis+cluster://a:x",
        "redis+cluster://a b",
        "redis+cluster://a:1/3",
        "unix+cluster:///tmp/socket",
    ],
)
def test_what_is_no_address_of_a_cluster_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"redis\+cluster://"):
        casts.redis_url(url)


def test_nodes_that_are_found_have_the_scheme_the_password_and_the_options_of_the_address() -> None:
    url = "rediss+cluster://me:s%2Cc%40t@a:1,b:2/0?ssl_cert_reqs=none"
    assert node_url(url, C) == "rediss://me:s%2Cc%40t@10.0.0.3:7001/0?ssl_cert_reqs=none"
    assert node_url("redis+cluster://a", ("::1", 2)) == "redis://[::1]:2/0"


def test_a_cluster_is_the_same_whatever_order_and_password_its_address_has() -> None:
    assert location("redis+cluster://a:1,b") == location("redis+cluster://me:secret@b:6379,a:1/0")


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis+cluster://a:7000,b", "-c -h a -p 7000"),
        ("redis+cluster://:secret@a", "-c -h a -p 6379 --askpass"),
    ],
)
def test_the_greeting_shows_how_redis_cli_finds_a_cluster_and_no_password(url: str, options: str) -> None:
    assert _where(url) == options


def test_the_map_tells_the_master_of_a_slot() -> None:
    found = read_map(
        [[5461, 16383, [b"10.0.0.2", 7000, b"id"]], [0, 5460, [b"10.0.0.1", 7000, b"id"]]], ASKED
    )
    assert [found.owner(slot) for slot in (0, 5460, 5461, 16383)] == [A, A, B, B]
    assert found.masters() == [A, B]


def test_replicas_are_nodes_and_no_masters() -> None:
    found = read_map([[0, 16383, [b"10.0.0.1", 7000, b"id"], [b"10.0.0.3", 7001, b"id", []]]], ASKED)
    assert found.masters() == [A]
    assert found.nodes == {A, C}


@pytest.mark.parametrize("host", [b"", None, b"?"])
def test_a_node_that_does_not_know_its_host_is_the_one_that_was_asked(host: bytes | None) -> None:
    assert read_map([[0, 16383, [host, 7005, b"id"]]], ASKED).owner(1) == ("10.0.0.9", 7005)


def test_a_slot_that_nobody_holds_has_no_owner() -> None:
    assert Map((), frozenset()).owner(1) is None
    assert read_map([[0, 5, [b"10.0.0.1", 7000]]], ASKED).owner(6) is None
