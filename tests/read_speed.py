#!/usr/bin/env python3
"""How fast is --read, and how much memory does it take, beside tshark and tcpdump?

    read_speed.py PROBE [MEGABYTES]

Makes a capture of that size (default 2000; tshark gets a tenth of it, for its patience), and one of
as many packets that holds their headers alone; reads them with each, and prints seconds, rate and peak
memory. No test: machines are noisy.
"""
import os
import random
import struct
import subprocess
import sys
import tempfile
import time

FIELDS = ('frame.time_epoch ip.src ip.dst ipv6.src ipv6.dst tcp.srcport tcp.dstport tcp.flags tcp.seq_raw tcp.ack_raw '
          'tcp.len tcp.stream').split()


def frame(client, server, from_client, flags, seq, ack, payload, ip_id):
    ends = (client, server) if from_client else (server, client)
    ip = struct.pack('>BBHHHBBH', 0x45, 0, 40 + payload, ip_id & 0xffff, 0x4000, 64, 6, 0) + ends[0][0] + ends[1][0]
    tcp = struct.pack('>HHIIBBHHH', ends[0][1], ends[1][1], seq & 0xffffffff, ack & 0xffffffff, 0x50, flags, 65535, 0, 0)
    return b'\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0' + ip + tcp + b'x' * payload


def connections(dice):
    """Endless frames of connections that follow each other: most of some 60 segments, some unanswered."""
    number = 0
    while True:
        number += 1
        client = (struct.pack('>I', 0x0a010400 + number % 200), 1024 + number // 200 % 60000)
        server = (struct.pack('>I', 0xc6336400 + dice.randrange(250)), 443)
        isn, other = dice.getrandbits(32), dice.getrandbits(32)
        yield frame(client, server, True, 2, isn, 0, 0, number)
        if number % 50 == 0:
            continue
        yield frame(client, server, False, 18, other, isn + 1, 0, number)
        yield frame(client, server, True, 16, isn + 1, other + 1, 0, number + 1)
        yield frame(client, server, True, 24, isn + 1, other + 1, 400, number + 2)
        size = dice.choice((10, 30, 60, 140))
        for i in range(size):
            yield frame(client, server, False, 16, other + 1 + 1448 * i, isn + 401, 1448, number + i)
            if i % 2:
                yield frame(client, server, True, 16, isn + 401, other + 1 + 1448 * (i + 1), 0, number + i)
        yield frame(client, server, True, 17, isn + 401, other + 1 + 1448 * size, 0, number + 3)
        yield frame(client, server, False, 17, other + 1 + 1448 * size, isn + 402, 0, number + 3)


def write(path, size, block=200000, snap=65535):
    """One block of connections again and again, an hour later each time: Python is slow, disks are not."""
    frames, dice, clock = [], random.Random(5274), 0
    for f in connections(dice):
        frames.append((clock, f))
        clock += dice.randrange(2000, 200000)
        if len(frames) == block:
            break
    written, base = 24, 1700000000
    with open(path, 'wb') as out:
        out.write(struct.pack('<IHHiIII', 0xa1b23c4d, 2, 4, 0, 0, 65535, 1))
        while written < size:
            out.write(b''.join(struct.pack('<IIII', base + t // 10**9, t % 10**9, min(snap, len(f)), len(f)) + f[:snap]
                               for t, f in frames))
            written += sum(16 + len(f) for _, f in frames)
            base += 3600


def measure(name, command, size):
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while True:
        with open('/proc/%d/status' % process.pid) as f:  # what wait4() tells is never less than Python's own
            peak = max([peak] + [int(line.split()[1]) for line in f if line.startswith('VmHWM')])
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(0.002)
    took, cpu = time.monotonic() - began, usage.ru_utime + usage.ru_stime
    print('%-44s %8.2f s  %7.0f MB/s  CPU %7.2f s  peak %6.1f MiB%s' % (
        name, took, size / 1e6 / took, cpu, peak / 1024, '' if status == 0 else '  status %d' % status), flush=True)
    return cpu


def main():
    probe, size = sys.argv[1], int(sys.argv[2] if len(sys.argv) > 2 else 2000) * 10**6
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ('big', 'tenth', 'headers')]
        writer = os.fork()  # whose memory is not the parent's of those that are measured
        if not writer:
            write(paths[0], size)
            write(paths[1], size // 10)
            write(paths[2], size, snap=66)
            os._exit(0)
        if os.waitpid(writer, 0)[1]:
            return 1
        for path in paths:  # into the page cache
            with open(path, 'rb') as f:
                while f.read(1 << 20):
                    pass
        big, tenth, headers = [(path, os.path.getsize(path)) for path in paths]
        floor = measure('tcpdump -r FILE -w /dev/null', ['tcpdump', '-r', big[0], '-w', '/dev/null'], big[1])
        ours = measure('probe --read FILE', [probe, '--read', big[0]], big[1])
        evidence = measure('probe --read FILE --write /dev/null', [probe, '--read', big[0], '--write', '/dev/null'], big[1])
        low = measure('tcpdump, headers alone', ['tcpdump', '-r', headers[0], '-w', '/dev/null'], headers[1])
        mine = measure('probe --read, headers alone', [probe, '--read', headers[0]], headers[1])
        on_tenth = measure('probe --read, a tenth', [probe, '--read', tenth[0]], tenth[1])
        fields = [word for field in FIELDS for word in ('-e', field)]
        theirs = measure('tshark -T fields, a tenth', ['tshark', '-r', tenth[0], '-T', 'fields'] + fields, tenth[1])
    print('of CPU time, probe takes %.2f times what tcpdump takes (with --write %.2f, of headers alone %.2f), and 1/%.0f of '
          "tshark's" % (ours / floor, evidence / floor, mine / low, theirs / on_tenth))
    return 0


if __name__ == '__main__':
    sys.exit(main())
