#!/usr/bin/env python3
"""How fast is --read, and how much memory does it take, beside tshark and tcpdump?

    read_speed.py PROBE [MEGABYTES]

Makes a capture of that size (default 2000; tshark gets the first tenth of it, for its patience), reads
it with each, and prints seconds, rate and peak memory. No test: machines are noisy.
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


def write(path, size, block=200000):
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
            block = b''.join(struct.pack('<IIII', base + t // 10**9, t % 10**9, len(f), len(f)) + f for t, f in frames)
            out.write(block)
            written += len(block)
            base += 3600


def measure(name, command, size):
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.monotonic() - began
    print('%-40s %8.2f s  %7.0f MB/s  CPU %7.2f s  peak %6.0f MiB%s' % (
        name, took, size / 1e6 / took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024,
        '' if status == 0 else '  status %d' % status), flush=True)
    return took


def main():
    probe, size = sys.argv[1], int(sys.argv[2] if len(sys.argv) > 2 else 2000) * 10**6
    with tempfile.TemporaryDirectory() as folder:
        big, small = os.path.join(folder, 'big.pcap'), os.path.join(folder, 'tenth.pcap')
        writer = os.fork()  # whose memory is not the parent's of those that are measured
        if not writer:
            write(big, size)
            write(small, size // 10)
            os._exit(0)
        if os.waitpid(writer, 0)[1]:
            return 1
        for path in (small, big):  # into the page cache
            with open(path, 'rb') as f:
                while f.read(1 << 20):
                    pass
        size, tenth = os.path.getsize(big), os.path.getsize(small)
        floor = measure('tcpdump -r FILE -w /dev/null', ['tcpdump', '-r', big, '-w', '/dev/null'], size)
        ours = measure('probe --read FILE', [probe, '--read', big], size)
        on_tenth = measure('probe --read, of a tenth', [probe, '--read', small], tenth)
        fields = [word for field in FIELDS for word in ('-e', field)]
        theirs = measure('tshark -T fields, of a tenth', ['tshark', '-r', small, '-T', 'fields'] + fields, tenth)
    print('probe takes %.2f times as long as tcpdump, and is %.0f times as fast as tshark' % (
        ours / floor, theirs / on_tenth))


if __name__ == '__main__':
    sys.exit(main())
