"""Which addresses egress refuses, and which networks a workspace may open."""

import pytest

from amodal_rt.errors import InvalidError
from amodal_rt.guardrails.egress import SETTING, Egress, parse_networks, special_range

SPECIAL = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "10.0.0.1": "private",
    "10.255.255.255": "private",
    "100.64.0.1": "shared (carrier NAT)",
    "100.127.255.255": "shared (carrier NAT)",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "cloud host",
    "::ffff:168.63.129.16": "cloud host",
    "169.254.169.254": "link-local",
    "169.254.0.1": "link-local",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.1": "reserved",
    "192.0.0.170": "reserved",
    "192.0.2.7": "documentation",
    "192.88.99.1": "6to4 relay",
    "192.168.0.1": "private",
    "192.168.255.255": "private",
    "198.18.0.1": "benchmarking",
    "198.19.255.255": "benchmarking",
    "198.51.100.1": "documentation",
    "203.0.113.9": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "0:0:0:0:0:0:0:1": "loopback",
    "::127.0.0.1": "IPv4-compatible",
    "::8.8.8.8": "IPv4-compatible",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:7f00:1": "loopback",
    "::ffff:10.0.0.1": "private",
    "::ffff:169.254.169.254": "link-local",
    "::ffff:0.0.0.0": "unspecified",
    "::ffff:0:127.0.0.1": "IPv4-translated",
    "64:ff9b::127.0.0.1": "NAT64",
    "64:ff9b::8.8.8.8": "NAT64",
    "64:ff9b:1::1": "NAT64",
    "64:ff9b:1:ffff::a00:1": "NAT64",
    "100::1": "reserved",
    "2001::1": "Teredo",
    "2001:0:53aa:64c::1": "Teredo",
    "2001:2::1": "reserved",
    "2001:10::1": "reserved",
    "2001:20::1": "reserved",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "6to4",
    "2002:808:808::1": "6to4",
    "3fff::1": "documentation",
    "4000::1": "reserved",
    "5f00::1": "reserved",
    "fc00::1": "private",
    "fd12:3456::1": "private",
    "fe80::1": "link-local",
    "fe80::1%1": "link-local",
    "febf::1": "link-local",
    "fec0::1": "site-local",
    "feff::1": "site-local",
    "ff02::1": "multicast",
    "ff0e::1": "multicast",
}


PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450::1",
]


@pytest.mark.parametrize(("address", "what"), SPECIAL.items())
def test_special_addresses_are_refused_by_their_kind(address: str, what: str) -> None:
    assert special_range(address) == what
    assert what in str(Egress().judge(address))
    assert SETTING in str(Egress().judge(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address: str) -> None:
    assert Egress().judge(address) is None


def test_an_allowed_network_opens_itself_and_nothing_beside_it() -> None:
    egress = Egress(["127.0.0.0/8", "fd00::/8", "10.1.2.3"])

    assert egress.judge("127.0.0.1") is None
    assert egress.judge("::ffff:127.0.0.1") is None
    assert egress.judge("fd12::1") is None
    assert egress.judge("10.1.2.3") is None
    assert egress.judge("10.1.2.4") is not None
    assert egress.judge("::1") is not None
    assert egress.judge("fc00::1") is not None


def test_a_bad_network_is_refused_and_the_old_list_kept() -> None:
    egress = Egress(["127.0.0.0/8"])

    with pytest.raises(InvalidError) as caught:
        egress.configure(["10.0.0.0/8", "10.0.0.0/33"])

    assert caught.value.code == "bad_network"
    assert "10.0.0.0/33" in caught.value.message
    assert egress.judge("127.0.0.1") is None
    assert egress.judge("10.0.0.1") is not None
    assert len(parse_networks(["10.0.0.1/8", "::1"])) == 2
