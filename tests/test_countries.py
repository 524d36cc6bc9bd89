"""Countries of addresses, by MMDB files of every known shape."""

from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from summaries.countries import countries
from tracker import geoip
from tracker.settings import BadSetting

NETWORKS = {"203.0.113.0/24": "DE", "198.51.100.0/25": "AT", "2001:db8::/48": "CH"}


def write(file: Path, records: dict[str, Any], ip_version: int = 6) -> Path:
    """An MMDB file with these records, by network."""
    writer = MMDBWriter(ip_version, ipv4_compatible=ip_version == 6, database_type="Country")
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(file))
    return file


@pytest.mark.parametrize(
    "shape",
    [
        lambda code: {"country": {"iso_code": code, "names": {"en": "x"}}, "continent": {"code": "EU"}},
        lambda code: {"country": "Germany", "country_code": code, "continent_code": "EU"},
        lambda code: {"country": code, "country_name": "Germany"},
        lambda code: {"country_code": code.lower()},
    ],
    ids=["MaxMind", "IPinfo Lite", "flat country", "ip-location-db"],
)
def test_a_country_is_known_by_each_shape_of_file(tmp_path: Path, shape: Any) -> None:
    country_of = countries(write(tmp_path / "a.mmdb", {net: shape(code) for net, code in NETWORKS.items()}))
    assert country_of("203.0.113.7") == "DE"
    assert country_of("203.0.113.0") == "DE"  # as an address is cut
    assert country_of("198.51.100.127") == "AT"
    assert country_of("2001:db8::") == country_of("2001:db8::7") == "CH"
    unknown = ("198.51.100.128", "10.0.0.1", "::1", "2001:db8:1::")
    assert [country_of(address) for address in unknown] == [None] * 4


@pytest.mark.parametrize("address", ["", "localhost", "203.0.113", "<script>", "2001:db8::7"])
def test_what_a_file_cannot_know_has_no_country(tmp_path: Path, address: str) -> None:
    country_of = countries(write(tmp_path / "a.mmdb", {"203.0.113.0/24": {"country": "DE"}}, ip_version=4))
    assert country_of("203.0.113.7") == "DE"
    assert country_of(address) is None


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "127.0.0.1", "100.64.0.1", "::1", "fd00::1"])
def test_a_local_address_has_no_country_whatever_the_file_says(tmp_path: Path, address: str) -> None:
    everywhere = {network: {"country": "AU"} for network in ("::/1", "f000::/4", "0.0.0.0/1", "128.0.0.0/1")}
    country_of = countries(write(tmp_path / "a.mmdb", everywhere))
    assert country_of("203.0.113.7") == "AU"
    assert country_of(address) is None


NO_CODE: list[Any] = [{}, {"country": {}}, {"country": {"iso_code": 7}}, {"country": "Germany"}, "DE", ["DE"]]


@pytest.mark.parametrize("record", [*NO_CODE, {"country_code": "D\n"}], ids=repr)
def test_a_record_without_a_code_is_no_country(tmp_path: Path, record: Any) -> None:
    assert countries(write(tmp_path / "a.mmdb", {"203.0.113.0/24": record}))("203.0.113.7") is None


def test_a_file_that_is_no_mmdb_is_a_bad_setting(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("203.0.113.0,DE\n")
    with pytest.raises(BadSetting, match=r"HITWALL_GEOIP=.*a\.csv cannot be used: .* takes an MMDB file"):
        countries(tmp_path / "a.csv")
    with pytest.raises(BadSetting, match="HITWALL_GEOIP takes an MMDB file"):
        countries(tmp_path / "gone.mmdb")


def test_law_10_countries_are_remembered_up_to_a_bound(tmp_path: Path) -> None:
    record_of = geoip.records(write(tmp_path / "a.mmdb", {"203.0.113.0/24": {"country": "DE"}}))
    for n in range(geoip.CACHED + 10):
        record_of(f"10.0.{n // 256}.{n % 256}")
    assert record_of.cache_info().currsize == geoip.CACHED  # type: ignore[attr-defined]
