"""The client's address through proxies of ours, and its network."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracker.remote import careful, client, network, usual

PEER = "10.0.0.1"
CASES = {
    "no proxy: the header is anybody's": ("203.0.113.7", 0, PEER),
    "no proxy, no header": ("", 0, PEER),
    "one proxy": ("203.0.113.7", 1, "203.0.113.7"),
    "one proxy, one spoofed entry": ("1.1.1.1, 203.0.113.7", 1, "203.0.113.7"),
    "one proxy, many spoofed entries": ("1.1.1.1, 2.2.2.2,3.3.3.3,203.0.113.7", 1, "203.0.113.7"),
    "two proxies": ("203.0.113.7, 10.0.0.9", 2, "203.0.113.7"),
    "two proxies, one spoofed entry": ("1.1.1.1,203.0.113.7, 10.0.0.9", 2, "203.0.113.7"),
    "fewer entries than proxies": ("203.0.113.7", 2, PEER),
    "no entry": ("", 1, PEER),
    "a port": ("203.0.113.7:51234", 1, "203.0.113.7"),
    "IPv6": ("2001:DB8:0:0::7", 1, "2001:db8::7"),
    "IPv6 in brackets": ("[2001:db8::7]", 1, "2001:db8::7"),
    "IPv6 in brackets with a port": ("[2001:db8::7]:443", 1, "2001:db8::7"),
    "IPv4 inside IPv6": ("::ffff:203.0.113.7", 1, "203.0.113.7"),
    "garbage": ("unknown", 1, PEER),
    "markup": ("<script>", 1, PEER),
    "a half address": ("203.0.113", 1, PEER),
    "the last entry is empty": ("203.0.113.7,", 1, PEER),
    "a zone is no part of an address": ("fe80::1%<script>", 1, "fe80::1"),
}
NETWORKS = {
    "203.0.113.7": "203.0.113.0",
    "10.1.2.255": "10.1.2.0",
    "2001:db8:1:2:3:4:5:6": "2001:db8:1::",
    "::1": "::",
    "": "",
}


@pytest.mark.parametrize(("forwarded", "hops", "address"), CASES.values(), ids=CASES)
def test_the_client_is_who_our_outermost_proxy_saw(forwarded: str, hops: int, address: str) -> None:
    assert client(PEER, forwarded, hops) == address


def test_a_peer_without_an_address_is_nobody() -> None:
    assert client("", "", 0) == client("unix:", "garbage", 1) == ""
    assert client("::ffff:10.0.0.1", "", 0) == PEER


@given(spoofed=st.text(), hops=st.integers(1, 3), real=st.ip_addresses(v=4).map(str))
def test_whatever_a_visitor_writes_before_our_proxies_entries_is_ignored(
    spoofed: str, hops: int, real: str
) -> None:
    entries = [spoofed, real, *["10.0.0.9"] * (hops - 1)]
    assert client(PEER, ", ".join(entries), hops) == real


@given(peer=st.text(), forwarded=st.text(alphabet="0123456789abf:.[],% x"), hops=st.integers(0, 3))
def test_any_text_gives_an_address_that_has_a_network_or_nothing(
    peer: str, forwarded: str, hops: int
) -> None:
    address = client(peer, forwarded, hops)
    assert bool(network(address)) == bool(address)


@pytest.mark.parametrize(("address", "cut"), NETWORKS.items())
def test_the_network_of_an_address_is_its_household_s_neighbourhood(address: str, cut: str) -> None:
    assert network(address) == cut == network(cut)


@given(st.ip_addresses(v=4), st.integers(0, 255))
def test_neighbours_cannot_be_told_apart_by_their_network(address: IPv4Address, last: int) -> None:
    neighbour = IPv4Address((int(address) & 0xFFFFFF00) + last)
    assert network(str(address)) == network(str(neighbour))
    assert network(str(address)) != network(str(IPv4Address((int(address) + 256) % 2**32)))


ADDRESSES = st.ip_addresses().map(str) | st.integers(0, 2**33).map(lambda n: f"::{n:x}"[:9])
WRITTEN = ADDRESSES | st.text(alphabet="0123456789abF:.%x ", max_size=20) | st.text(max_size=9)


@given(WRITTEN)
@example("::1.2.3.4")
@example("::ffff:1.2.3.4")
@example("01.2.3.4")
@example("1.2.3.4\0")
@example("fe80::1%lo")
@example("1:0:0:2:0:0:0:3")
def test_the_quick_way_gives_an_address_as_the_careful_one_does_or_nothing(text: str) -> None:
    assert usual(text) in ("", careful(text))


@given(st.ip_addresses())
def test_a_network_is_that_of_the_provider(address: IPv4Address | IPv6Address) -> None:
    bits = {4: 24, 6: 48}[address.version]
    assert network(str(address)) == str(ip_network(f"{address}/{bits}", strict=False).network_address)
    assert usual(str(address)) == str(address) or address.version == 6


@pytest.mark.parametrize("text", ["unknown", "1.2.3", "::1::", "1.2.3.4/8"])
def test_what_is_no_address_has_no_network(text: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        network(text)
