"""Builds captures packet by packet, and returns what `probe --read` reports about them."""
import os
import socket
import struct
import subprocess
import tempfile

import report_check
import schema
from probe import PROBE, SECOND, expect

START = 1700000000 * SECOND + 123456789
CLIENT, SERVER = ('10.1.4.23', 51544), ('198.51.100.7', 80)
DEAD = ('10.200.7.9', 5274)
RESOLVER = ('10.1.0.53', 53)
SYN, SYNACK, ACK, FIN = 2, 18, 16, 17


def checksum(data):
    data += b'\0' * (len(data) % 2)
    s = sum(struct.unpack('>%dH' % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def frame(source, destination, flags, seq, ack, payload=b'', vlans=(), ip_id=1):
    """Returns an Ethernet frame with IPv4 and TCP; source and destination are (address, port)."""
    a, b = socket.inet_aton(source[0]), socket.inet_aton(destination[0])
    tcp = struct.pack('>HHIIBBHHH', source[1], destination[1], seq & 0xffffffff, ack & 0xffffffff, 0x50, flags,
                      65535, 0, 0) + payload
    check = checksum(a + b + struct.pack('>HH', 6, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack('>H', check) + tcp[18:]
    ip = struct.pack('>BBHHHBBH', 0x45, 0, 20 + len(tcp), ip_id, 0x4000, 64, 6, 0) + a + b
    ip = ip[:10] + struct.pack('>H', checksum(ip)) + ip[12:]
    tags = b''.join(struct.pack('>HH', 0x8100, v) for v in vlans)
    return b'\x02\0\0\0\0\x01\x02\0\0\0\0\x02' + tags + b'\x08\0' + ip + tcp


def connection(at, wait, client=CLIENT, server=SERVER, isn=1000):
    """Yields (time, frame) of a connection whose client sends data `wait` ns after its handshake ACK."""
    other = 77000
    yield at, frame(client, server, SYN, isn, 0)
    yield at + 10000001, frame(server, client, SYNACK, other, isn + 1, ip_id=2)
    yield at + 11000002, frame(client, server, ACK, isn + 1, other + 1, ip_id=3)
    yield at + 11000002 + wait, frame(client, server, ACK, isn + 1, other + 1, b'GET', ip_id=4)
    yield at + 21000003 + wait, frame(server, client, ACK, other + 1, isn + 4, b'200', ip_id=5)


def datagram(source, destination, payload):
    """Returns an Ethernet frame with IPv4 and UDP."""
    a, b = socket.inet_aton(source[0]), socket.inet_aton(destination[0])
    udp = struct.pack('>HHHH', source[1], destination[1], 8 + len(payload), 0) + payload
    ip = struct.pack('>BBHHHBBH', 0x45, 0, 20 + len(udp), 7, 0x4000, 64, 17, 0) + a + b
    ip = ip[:10] + struct.pack('>H', checksum(ip)) + ip[12:]
    return b'\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0' + ip + udp


def dns_name(name):
    """Returns a name as in a message; a list of labels may contain any byte."""
    labels = name.split(b'.') if isinstance(name, bytes) else name
    return b''.join(bytes([len(label)]) + label for label in labels) + b'\0'


def lookup(at, client, name, address=None, number=1, took=10**6, asked=(0,), resolver=RESOLVER):
    """Yields a question for an A record, sent at these seconds, and its answer, if there is one."""
    question = dns_name(name) + struct.pack('>HH', 1, 1)
    for n, after in enumerate(asked):
        yield at + int(after * SECOND), datagram((client, 40000 + number + n), resolver, struct.pack(
            '>HHHHHH', number + n, 0x100, 1, 0, 0, 0) + question)
    if address:
        yield at + took, datagram(resolver, (client, 40000 + number), struct.pack('>HHHHHH', number, 0x8180, 1, 1, 0, 0) +
                                  question + b'\xc0\x0c' + struct.pack('>HHIH', 1, 1, 300, 4) + socket.inet_aton(address))


def silent(at, client=CLIENT, server=DEAD):
    for i, after in enumerate((0, 1, 3)):
        yield at + after * SECOND, frame((client[0], 40000), server, SYN, 5, 0, ip_id=10 + i)


def story(at=START):
    return sorted(list(connection(at, 5 * SECOND + 3)) + list(silent(at + 12 * 10**6)))


def pcap(packets, order='<', nano=True, link=1, head=b'', snap=65535):
    """Returns a pcap file; head replaces the Ethernet header of each frame."""
    out = [struct.pack(order + 'IHHiIII', 0xa1b23c4d if nano else 0xa1b2c3d4, 2, 4, 0, 0, snap, link)]
    for at, frame in packets:
        frame = head + frame[14:] if link != 1 else frame
        unit = 1 if nano else 1000
        out.append(struct.pack(order + 'IIII', at // SECOND, at % SECOND // unit, min(len(frame), snap), len(frame)))
        out.append(frame[:snap])
    return b''.join(out)


def pcapng(packets, order='<'):
    def block(kind, body):
        size = struct.pack(order + 'I', 12 + len(body))
        return struct.pack(order + 'I', kind) + size + body + size

    out = block(0x0a0d0d0a, struct.pack(order + 'IHHq', 0x1a2b3c4d, 1, 0, -1))
    out += block(1, struct.pack(order + 'HHIHHB3xHH', 1, 0, 65535, 9, 1, 9, 0, 0))
    for at, frame in packets:
        out += block(6, struct.pack(order + 'IIIII', 0, at >> 32, at & 0xffffffff, len(frame), len(frame)) + frame +
                     b'\0' * (-len(frame) % 4))
    return out


class Files:
    """A folder of capture files, for a with block."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def add(self, name, content):
        path = os.path.join(self.folder.name, name)
        with open(path, 'wb') as f:
            f.write(content)
        return path


OTHER = ('203.0.113.9', 443)


def office():
    """Returns packets: hosts 1 to 4 open three pages with a helper that waits 5 s for DEAD; 5 to 8 have no helper."""
    packets = []
    for n in range(1, 9):
        for page in range(3):
            at = START + SECOND * (7 * page + 40 * (n % 3)) + n * 1234567
            client, server = ('10.1.4.%d' % n, 50000 + page), (SERVER, OTHER)[page % 2]
            wait = (5000 + n) * 10**6 if n < 5 else 10**6 * n
            packets += connection(at, wait, client, server, isn=1000 * n + page)
            if n < 5:
                packets += [(t, frame((client[0], 60000 + page), DEAD, 2, 9 + page, 0, ip_id=20 + i))
                            for i, (t, _) in enumerate(silent(at + 12 * 10**6))]
    return sorted(packets)


def run(*arguments, stdin=b''):
    """Returns the completed process. Its text report, if it printed one, has no sentence that no report may have."""
    done = subprocess.run([PROBE] + list(arguments), input=stdin, capture_output=True)
    report_check.expect_clean(done.stdout.decode(errors='replace'))
    return done


def read(*arguments, stdin=b'', status=0):
    """Returns the objects of --json, after checking the exit status."""
    done = run('--json', *arguments, stdin=stdin)
    expect(done.returncode == status, arguments, 'status', done.returncode, done.stderr.decode())
    objects = schema.load(done.stdout.decode())
    report_check.expect_sound(objects, status=done.returncode, arguments=arguments)
    return objects


def of(objects, kind, **wanted):
    return [o for o in objects if o['type'] == kind and all(o[k] == v for k, v in wanted.items())]


def times(objects):
    keys = ('client', 'server', 'outcome', 'syn_times', 'synack', 'ack', 'client_first', 'server_first', 'wait')
    return sorted(tuple(str(c[k]) for k in keys) for c in of(objects, 'connection'))
