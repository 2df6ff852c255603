#!/usr/bin/env python3
"""Measures the speed and memory of --read, beside tshark and tcpdump.

tests/long/read_speed.py PROBE [MEGABYTES]

Makes a capture of that size (default 2000; tshark reads a tenth of it, because it is slow), and one with the headers
of as many packets. Reads them with each program, and prints seconds, rate and peak memory. This is no test: machines
are noisy.
"""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import large_capture  # noqa: E402

FIELDS = ('frame.time_epoch ip.src ip.dst ipv6.src ipv6.dst tcp.srcport tcp.dstport tcp.flags tcp.seq_raw tcp.ack_raw '
          'tcp.len tcp.stream').split()


def measure(name, command, size):
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while True:
        with open('/proc/%d/status' % process.pid) as f:  # wait4() returns at least Python's own peak
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
        writer = os.fork()  # so that its memory does not count for the measured programs
        if not writer:
            large_capture.write(paths[0], size)
            large_capture.write(paths[1], size // 10)
            large_capture.write(paths[2], size, snap=66)
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
