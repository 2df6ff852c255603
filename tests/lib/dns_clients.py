"""Hosts that resolve names with the programs of the field, and open what they found: glibc, musl, c-ares,
systemd-resolved; Windows and macOS by their schedules.

Each function runs in a host: Actors.go(number, using, [resolver, ...], function, argument ...).
"""
import contextlib
import os
import random
import select
import socket
import struct
import subprocess
import tempfile
import time

import netns
from dns_server import AAAA, A, Question, question
from probe import ROOT
from workload import page, rest

NEW_MOUNTS = 0x20000
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x40000


def mount(source, target, kind=None, flags=0):
    arguments = [a and a.encode() for a in (source, target, kind)]
    if netns.libc.mount(*arguments, flags, None):
        raise OSError(netns.ctypes.get_errno(), 'mount ' + target)


def own_mounts():
    """Gives this process a view of its own on the files, for mount() and replace()."""
    if netns.libc.unshare(NEW_MOUNTS):
        raise OSError(netns.ctypes.get_errno(), 'unshare')
    try:
        mount('none', '/', flags=RECURSIVE | PRIVATE)
    except OSError:
        # In a chroot the root is no mount point: go on in a private copy of the tree.
        folder = os.getcwd()
        mount('copy', '/mnt', 'tmpfs')
        mount('none', '/mnt', flags=PRIVATE)
        os.mkdir('/mnt/root')
        mount('/', '/mnt/root', flags=BIND | RECURSIVE)
        mount('none', '/mnt/root', flags=RECURSIVE | PRIVATE)
        os.chroot('/mnt/root')
        os.chdir(folder)


def replace(path, text):
    """Shows this text as the contents of a file, to this process and its children."""
    with tempfile.NamedTemporaryFile('w') as f:
        f.write(text)
        f.flush()
        os.chmod(f.name, 0o644)
        mount(f.name, os.path.realpath(path), flags=BIND)


def resolv_conf(resolvers, options=''):
    own_mounts()
    replace('/etc/nsswitch.conf', 'hosts: files dns\n')
    replace('/etc/resolv.conf', ''.join('nameserver %s\n' % r for r in resolvers) + options + '\n')


def using(resolvers, function, *arguments, options=''):
    """Runs a function in a host whose /etc/resolv.conf has these resolvers and options."""
    resolv_conf(resolvers, options)
    return function(*arguments)


def glibc(name):
    """Returns the addresses of a name; none if there are none."""
    try:
        return [found[4][0] for found in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)]
    except socket.gaierror:
        return []


def surf(names, pause=0.3, resolve=glibc, after=0.0, hold=None):
    """Opens the pages of these names. Returns the seconds that each waited for its name."""
    waited = []
    time.sleep(after)
    for name in names:
        began = time.monotonic()
        addresses = resolve(name)
        waited.append(time.monotonic() - began)
        if addresses:
            page(addresses[0], 80, hold)
        rest(pause)
    return waited


def sites(host, count, zone='example.com'):
    """Returns names that no other host asks for."""
    return ['www%d-%d.%s' % (k, host, zone) for k in range(count)]


def musl_program(folder):
    """Compiles netns/surf.c with musl, and returns its path."""
    path = os.path.join(folder, 'surf')
    subprocess.run(['musl-gcc', '-static', '-O2', '-o', path, os.path.join(ROOT, 'tests', 'netns', 'surf.c')], check=True)
    return path


def musl(program, names, pause=0.3):
    """As surf(), in a program that is linked with musl."""
    out = subprocess.run([program, str(pause)] + names, capture_output=True, text=True, check=True).stdout
    return [float(line) for line in out.split()]


def cares(name):
    """Resolves a name as programs with c-ares do, such as Node, nginx-like agents and Envoy."""
    import pycares  # only these hosts need it

    found = []
    channel = pycares.Channel()
    channel.getaddrinfo(name, None, lambda result, error: found.append((result, error)), family=socket.AF_UNSPEC)
    while not found:
        readable, writable = channel.getsock()
        ready = select.select(readable, writable, [], channel.timeout(1.0))
        for fd in ready[0]:
            channel.process_fd(fd, pycares.ARES_SOCKET_BAD)
        for fd in ready[1]:
            channel.process_fd(pycares.ARES_SOCKET_BAD, fd)
        if not any(ready):
            channel.process_fd(pycares.ARES_SOCKET_BAD, pycares.ARES_SOCKET_BAD)
    return [node.addr[0].decode() for node in found[0][0].nodes] if found[0][0] else []


class Schedule:
    """When a resolver asks which servers, and when it gives up. fresh: each try has a port and an id of its own."""

    def __init__(self, tries, end, fresh):
        self.tries, self.end, self.fresh = tries, end, fresh


# Windows 7 to 11 (KB 2834226), with one server, and with two; macOS, by the constants of mDNSResponder.
WINDOWS_ONE = Schedule([(0, [0]), (1, [0]), (2, [0]), (4, [0]), (8, [0])], 10, False)
WINDOWS_TWO = Schedule([(0, [0]), (1, [1]), (2, [1]), (4, [0, 1]), (8, [0, 1])], 10, False)
MACOS = Schedule([(0, [0]), (1, [0]), (3, [1]), (7, [1])], 15, True)


def follow(schedule, resolvers, name, kinds=(A, AAAA)):
    """Asks for a name by a schedule. Returns the first address, when each type is answered or the schedule has ended."""
    began, waiting, sockets = time.monotonic(), set(kinds), {}
    tries = [(began + at, server, kind) for at, servers in schedule.tries for server in servers for kind in kinds]
    fixed = {kind: (datagram_socket(), random.getrandbits(16)) for kind in kinds}
    address = None
    while waiting and time.monotonic() < began + schedule.end:
        while tries and tries[0][0] <= time.monotonic():
            _, server, kind = tries.pop(0)
            if kind in waiting:
                s, number = (datagram_socket(), random.getrandbits(16)) if schedule.fresh else fixed[kind]
                sockets[s] = kind, number
                s.sendto(question(name, kind, number), (resolvers[server % len(resolvers)], 53))
        end = tries[0][0] if tries else began + schedule.end
        for s in select.select(list(sockets), [], [], max(0.0, min(0.5, end - time.monotonic())))[0]:
            with contextlib.suppress(OSError):  # an ICMP error
                message = s.recv(65536)
                kind, number = sockets[s]
                q = Question(message)
                if (struct.unpack_from('>H', message)[0], q.name, q.kind) == (number, name, kind):
                    waiting.discard(kind)
                    if kind == A and struct.unpack_from('>H', message, 6)[0]:
                        address = socket.inet_ntoa(message[-4:])
    for s in set(sockets) | {s for s, _ in fixed.values()}:
        s.close()
    return [address] if address and (not waiting or A not in waiting) else []


def datagram_socket():
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def by(schedule, resolvers):
    """Returns a resolve() for surf()."""
    return lambda name: follow(schedule, resolvers, name)
