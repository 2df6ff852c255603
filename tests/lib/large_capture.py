"""Makes captures of any size quickly, by repeating one block of connections."""
import random
import struct


def frame(client, server, from_client, flags, seq, ack, payload, ip_id):
    ends = (client, server) if from_client else (server, client)
    ip = struct.pack('>BBHHHBBH', 0x45, 0, 40 + payload, ip_id & 0xffff, 0x4000, 64, 6, 0) + ends[0][0] + ends[1][0]
    tcp = struct.pack('>HHIIBBHHH', ends[0][1], ends[1][1], seq & 0xffffffff, ack & 0xffffffff, 0x50, flags, 65535, 0, 0)
    return b'\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0' + ip + tcp + b'x' * payload


def connections(dice):
    """Yields frames of consecutive connections without end: most with some 60 segments, some unanswered."""
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
    """Repeats one block of connections, an hour later each time: disks are faster than Python."""
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
