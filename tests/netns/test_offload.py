"""Flows that an nftables flowtable takes over: the probe learns of them from conntrack.

Needs flowtables: tests/kernels/run_netns runs this file under kernels that have them. If this fails, the probe
reports an endless wait for every connection of a gateway with flow offload.
"""
import socket
import subprocess
import time

import netns
from netns import CLIENT4, CLIENTS, GATEWAY, SERVER4, WAN, WEB, Probe, Rules, Serve, not_here, one, require_lab, sh
from probe import SECOND, expect, wait_for

require_lab(clients=2)

FLOWTABLE = '''flowtable ft { hook ingress priority 0; devices = { eth0, eth1 }; }
chain f { type filter hook forward priority 0; ct state established flow add @ft; }
chain n { type nat hook postrouting priority 100; oifname "eth1" masquerade }'''


class Flowtable(Rules):
    def __init__(self):
        super().__init__(GATEWAY, FLOWTABLE)

    def __enter__(self):
        try:
            super().__enter__()
        except subprocess.CalledProcessError:
            not_here('flowtable')


class Hidden:
    """Simulates hardware offload: segments with data pass, and the hook sees none of them."""

    def __enter__(self):
        for iface in ('eth0', 'eth1'):
            sh(GATEWAY, 'tc', 'qdisc', 'add', 'dev', iface, 'clsact')
            for direction in ('ingress', 'egress'):
                sh(GATEWAY, 'tc', 'filter', 'add', 'dev', iface, direction, 'prio', '1', 'protocol', 'ip', 'flower',
                   'ip_proto', 'tcp', 'tcp_flags', '0x8/0x8', 'action', 'pass')

    def __exit__(self, *_):
        for iface in ('eth0', 'eth1'):
            sh(GATEWAY, 'tc', 'qdisc', 'del', 'dev', iface, 'clsact')


def offloaded_flows():
    """Returns the number of flows that the kernel lists as offloaded."""
    return sh(GATEWAY, 'cat', '/proc/net/nf_conntrack', check=False).count('OFFLOAD]')


def talk(seconds):
    """Sends a request and receives an answer, twice, and leaves the connection open."""
    with socket.create_connection((SERVER4, 80)) as s:
        s.settimeout(20)
        for _ in range(2):
            s.sendall(b'GET')
            s.recv(100)
        time.sleep(seconds)


def echoes(s):
    while s.recv(65536):
        s.sendall(b'answer')


def test_software():
    """a software flowtable hides nothing from the hooks: connections are complete, on the inner and the outer side"""
    with Serve(WAN, {(SERVER4, 80): echoes}), Flowtable(), Probe() as inside, Probe(iface='eth1') as outside:
        flow = netns.fork(CLIENTS[0], talk, 2)
        wait_for(lambda: offloaded_flows() or 'OFFLOAD' not in sh(GATEWAY, 'ls', '/proc/net'), 'a flow that is taken over')
        flow()
        for p in (inside, outside):
            p.stop()
            c = one(p.connections(), 'connection')
            expect(c['settled_by'] == 'payload' and c['wait'] < SECOND and c['client'] == CLIENT4 % 21, c)
            expect(p.summary['stalls'] == p.summary['undecided'] == p.summary['offloaded'] == 0, p.summary)
        expect(outside.connections()[0]['behind'], outside.connections())


def test_hidden():
    """an offloaded flow whose data the hook cannot see is neither waiting, undecided nor a stall, and is reported"""
    for iface in ('eth0', 'eth1'):
        with Serve(WAN, {(SERVER4, 80): echoes}), Flowtable(), Hidden(), Probe('--hook', 'clsact', iface=iface) as p:
            netns.run(CLIENTS[0], talk, 5)
            open_still = netns.fork(CLIENTS[1], talk, 8)
            time.sleep(5)
            p.stop()
            open_still()
            got = p.connections()
            expect(len(got) == 2 and all(c['offloaded'] and c['client_first'] is None for c in got), iface, got)
            expect(p.summary['offloaded'] == 2 and p.summary['stalls'] == p.summary['undecided'] == 0, p.summary)
            expect(not p.of('stall') and not any('waiting' in line for line in p.lines), p.text)
            expect('OFFLOADED  2 connects' in p.text, p.text)


def test_not_offloaded():
    """without a flowtable the same flow is undecided: nothing indicates an offload"""
    with Serve(WAN, {(SERVER4, 80): echoes}), Hidden(), Probe('--hook', 'clsact') as p:
        open_still = netns.fork(CLIENTS[0], talk, 6)
        expect(p.printed('waiting for'), p.lines)
        p.stop()
        open_still()
        expect(p.summary['undecided'] == 1 and p.summary['offloaded'] == 0, p.summary)


def test_held():
    """a client that delays its request behind a software flowtable still counts as a stall"""
    with Serve(WAN, WEB), Flowtable(), Probe() as p:
        netns.run(CLIENTS[0], netns.browse, SERVER4, 80, 2)
        p.stop()
        c = one(p.connections(), 'connection')
        expect(c['offloaded'] and c['wait'] >= 2 * SECOND, c)
        expect(len(p.of('stall')) == 1, p.json)
