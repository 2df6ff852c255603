"""What do the hosts that wait have in common? The trait that separates them from the others is named, and no other.

Hosts differ in subnet and in the vendor of their network card; all do the same at the same servers.
"""
import re
import time

from causes import DEAD_NETWORK, Finding, cause
from netns import GATEWAY, WAN, Probe, Serve
from probe import expect
from workload import SITES, WEB, Actors, client, fail_open, ip, visit

VENDORS = ['00:1b:21', '3c:d9:2b']  # Intel, Hewlett-Packard


def place(n, subnet, vendor=0):
    """Moves client n to 10.1.<subnet>.0/24, and gives it a network card of this vendor."""
    ip(client(n), 'link set eth0 address %s:0a:%02x:%02x' % (VENDORS[vendor], subnet, n))
    ip(client(n), 'address flush dev eth0 scope global')
    ip(client(n), 'address add 10.1.%d.%d/24 dev eth0' % (subnet, n))
    ip(client(n), 'route add default via 10.1.%d.1' % subnet)


def office(hosts):
    """Places hosts: {number: (subnet, vendor)}."""
    for subnet in {subnet for subnet, _ in hosts.values()} - {4}:
        ip(GATEWAY, 'address add 10.1.%d.1/24 dev eth0' % subnet)
    ip(WAN, 'route add 10.1.0.0/16 via 198.51.100.1')
    for n, (subnet, vendor) in hosts.items():
        place(n, subnet, vendor)


def lines(p, label):
    """Returns the lines of the report with this label, without their wrapping."""
    text = re.sub(r'\n {12,}', ' ', p.text)
    return [line for line in text.splitlines() if re.match(r'\s+%s\b' % label, line)]


def waits_for(*seconds):
    """Returns a hold() that lasts as long as the next of these times."""
    left = list(seconds)
    return lambda: time.sleep(left.pop(0))


def works(bad, hosts):
    """All hosts open two pages. The bad ones wait 2.2 to 8 s before each request, and nothing on the wire is why.

    The logarithms of the times are spaced evenly: no two of them are alike, as those of a timer are.
    """
    share = [(i + 0.5) / (2 * len(bad)) for i in range(len(bad))]
    holds = {n: waits_for(*(2.2 * (8 / 2.2) ** q for q in (x, 1 - x))) for n, x in zip(bad, share)}
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in hosts:
            a.go(n, visit, 2, 0.2 if n in bad else 4.0, holds.get(n), SITES[:3], 0.02 * (n - 20))
    slow = {c['client'] for c in p.connections() if c['wait'] and c['wait'] > 2e9}
    expect(len(slow) == len(bad), slow, 'wait')
    return p


NINE = range(21, 30)
ALL = range(21, 60)


def traits(p):
    """Returns the traits that findings name: (trait, value)."""
    return [(c['trait'], c['value']) for f in p.of('finding') if f['contrast'] for c in f['contrast']['common']]


def names_subnet(p):
    expect(traits(p) == [('subnet', '10.1.5.0/24')], 'in common:', traits(p))
    expect(['9 of 9' in line for line in lines(p, 'in common')] == [True], lines(p, 'in common'))


@cause('contrast', 'nine hosts of one subnet wait for something that is not on this wire, and 30 others do not', 39,
       [Finding('stalls-unexplained', hosts=NINE)], check=names_subnet)
def test_subnet():
    office({n: (5 if n in NINE else 4 + n % 2 * 2, n % 2) for n in ALL})
    return works(NINE, ALL)


def names_nothing(p):
    expect(not traits(p), 'in common:', traits(p))
    spread = ' '.join(lines(p, 'spread'))
    expect('subnet' in spread and 'vendor' in spread, 'subnets and vendors are not said to be spread:', spread)


@cause('contrast', 'nine hosts of three subnets wait for something that is not on this wire: nothing in common', 39,
       [Finding('stalls-unexplained', hosts=range(21, 30))], check=names_nothing)
def test_spread():
    office({n: (4 + n % 3, n // 3 % 2) for n in ALL})
    return works(NINE, ALL)


@cause('contrast D1', 'the antivirus story: hosts with and without the helper in each subnet and of each vendor', 24,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=range(21, 33), others=range(33, 45), timer=3)],
       [DEAD_NETWORK], check=names_nothing)
def test_story_spread():
    office({n: (4 + n % 3, n // 3 % 2) for n in range(21, 45)})
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in range(21, 33):
            a.go(n, visit, 3, 0.2, fail_open(3.0), SITES[:3], 0.03 * (n - 20))
        for n in range(33, 45):
            a.go(n, visit, 8, 1.1, None, SITES[:3], 0.03 * (n - 20))
    return p
