"""Routers and servers behind the wan of scripts/lab, which removes all namespaces whose name begins with its id."""
import os
import select
import socket
import subprocess
import time

from netns import WAN, Background, sh
from workload import ip, sysctl


def forwards(router=WAN):
    sysctl(router, 'net.ipv4.ip_forward=1', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.default.rp_filter=0',
           'net.ipv4.conf.all.send_redirects=0', 'net.ipv4.conf.default.send_redirects=0')


def namespace(part):
    """Makes a namespace that forwards, and returns its name."""
    name = '%s-%s' % (os.environ['LAB_ID'], part)
    subprocess.run(['ip', 'netns', 'add', name], check=True)
    forwards(name)
    ip(name, 'link set lo up')
    return name


def join(a, b, network):
    """Links two namespaces: a is .1 of the network and reaches b by the device to-b, and b is .2."""
    devices = ['to-' + name.rsplit('-', 1)[1] for name in (b, a)]
    ip(a, 'link add %s type veth peer %s netns %s' % (devices[0], devices[1], b))
    for name, device, host in ((a, devices[0], 1), (b, devices[1], 2)):
        ip(name, 'address add %s.%d/24 dev %s' % (network, host, device))
        ip(name, 'link set %s up' % device)


def swallow(name, address):
    """Routes packets from a namespace to this address into a tunnel whose other end does not exist any more."""
    for command in ('link add tunnel type veth peer end', 'link set tunnel up', 'link set end up',
                    'route add %s dev tunnel' % address,
                    'neighbour add %s lladdr 02:00:00:00:00:99 dev tunnel' % address):
        ip(name, command)


def far_host():
    """Makes the host 192.0.2.80 behind the wan, and returns its namespace."""
    forwards()
    name = namespace('far')
    join(WAN, name, '192.0.2')
    ip(name, 'address add 192.0.2.80/24 dev to-wan')
    ip(name, 'route add default via 192.0.2.1')
    return name


def delay(a, b, seconds):
    """Forwards frames between two devices after a delay. The virtio headers keep partial checksums valid."""
    sockets = []
    for device in (a, b):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        s.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
        s.bind((device, 3))
        sockets.append(s)
    other = dict(zip(sockets, reversed(sockets)))
    due = []
    while True:
        now = time.monotonic()
        while due and due[0][0] <= now:
            _, s, data = due.pop(0)
            s.send(data)
        ready, _, _ = select.select(sockets, [], [], max(0.0, due[0][0] - now) if due else None)
        for s in ready:
            data, address = s.recvfrom(70000)
            if address[2] != socket.PACKET_OUTGOING:
                due.append((time.monotonic() + seconds, other[s], data))


class FarHost(Background):
    """The host of far_host() at the end of a line that delays packets by so many seconds each way."""

    def __init__(self, seconds):
        forwards()
        self.host, line = namespace('far'), namespace('line')
        for name, device, address in ((WAN, 'to-far', '192.0.2.1'), (self.host, 'to-wan', '192.0.2.80')):
            ip(name, 'link add %s type veth peer %s netns %s' % (device, device, line))
            ip(name, 'address add %s/24 dev %s' % (address, device))
            ip(name, 'link set %s up' % device)
            ip(line, 'link set %s up' % device)
        ip(self.host, 'route add default via 192.0.2.1')
        super().__init__(line, delay, 'to-far', 'to-wan', seconds)


def offload_off(name, device):
    """Lets the kernel compute checksums before a packet leaves the namespace."""
    sh(name, 'ethtool', '-K', device, 'tx', 'off')
