"""--read: formats, link types, several files, pipes, filters, and the errors for files that cannot be read."""
import gzip
import os
import re
import socket
import struct
import subprocess

import large_capture
from captures import DEAD, SERVER, START, Files, connection, of, office, pcap, pcapng, read, run, silent, story, times
from probe import PROBE, SECOND, expect


def test_formats():
    """every format and byte order, compressed or not, gives the same records at the resolution of the format"""
    with Files() as files:
        want = times(read('--read', files.add('plain', pcap(story()))))
        expect(len(want) == 2 and str(5 * SECOND + 3) in want[1], want)
        for order in '<>':
            for name, content in (('pcap', pcap(story(), order)), ('pcapng', pcapng(story(), order))):
                expect(times(read('--read', files.add(name, content))) == want, name, order)
                expect(times(read('--read', files.add(name, gzip.compress(content)))) == want, name, order, 'gzip')
                expect(times(read('--read', '-', stdin=content)) == want, name, order, 'pipe')
                expect(times(read('--read', '-', stdin=gzip.compress(content))) == want, name, order, 'zipped pipe')
            micro = read('--read', files.add('micro', pcap(story(), order, nano=False)))
            expect(of(micro, 'connection', server=SERVER[0])[0]['wait'] == 5 * SECOND, micro)


def test_locale():
    """the JSON lines are the same in every locale, and the text fits the terminal's encoding"""
    packets = []
    for n in range(4):  # four equal stalls, so that the finding states a timer and its spread
        client = ('10.1.4.%d' % (20 + n), 51544)
        packets += connection(START + n * SECOND, 5 * SECOND + n, client)
        packets += silent(START + n * SECOND + 12 * 10**6, client)
    with Files() as files:
        path = files.add('office', pcap(sorted(packets)))
        outputs = {}
        for locale in ('C', 'C.UTF-8'):
            environment = dict(os.environ, LC_ALL=locale)
            for option in ('--json', '-v'):
                done = subprocess.run([PROBE, '--read', path, option], capture_output=True, env=environment)
                expect(done.returncode == 0, locale, option, done.stderr)
                outputs[locale, option] = done.stdout
    expect(b'\\u00b1' in outputs['C', '--json'], 'no text with a special character', outputs['C', '--json'])
    expect(outputs['C', '--json'] == outputs['C.UTF-8', '--json'], 'the locale changes the JSON lines')
    expect('±' in outputs['C.UTF-8', '-v'].decode(), outputs['C.UTF-8', '-v'])
    expect('+-' in outputs['C', '-v'].decode('ascii'), outputs['C', '-v'])


def test_link_types():
    """a connection gives the same record on every link type"""
    ppp = b'\xff\x03\x00\x21'
    links = {0: b'\x02\0\0\0', 108: b'\0\0\0\x02', 9: ppp, 50: ppp, 51: b'\x11\0\0\x01\0\0\0\x21', 101: b'', 228: b'',
             104: b'\x0f\0\x08\0', 113: b'\0\0\0\x01\0\x06' + b'\x02' * 8 + b'\x08\0', 276: b'\x08\0' + b'\0' * 18}
    with Files() as files:
        want = times(read('--read', files.add('ethernet', pcap(story()))))
        for link, head in links.items():
            expect(times(read('--read', files.add(str(link), pcap(story(), link=link, head=head)))) == want, link)
        # NFLOG: a mark, then the packet, each with its length
        logged = b''.join(pcap([(at, f)], link=239, head=b'\x02\0\0\0' + struct.pack('<HHI', 8, 3, 1) + struct.pack(
            '<HH', 4 + len(f) - 14, 9))[24 * (i > 0):] for i, (at, f) in enumerate(story()))
        expect(times(read('--read', files.add('nflog', logged))) == want, 'nflog')


def test_cut_frames():
    """a capture with headers only is sufficient"""
    with Files() as files:
        want = times(read('--read', files.add('whole', pcap(story()))))
        expect(times(read('--read', files.add('cut', pcap(story(), snap=54)))) == want, 'snap length 54')


def test_several_files():
    """several files are read in order of time, in whatever order they are given, even if they overlap"""
    packets = story()
    with Files() as files:
        want = times(read('--read', files.add('whole', pcap(packets))))
        parts = [files.add('part%d' % i, pcap(packets[2 * i:2 * i + 2])) for i in range(4)]
        parts[1] = files.add('part1.gz', gzip.compress(pcapng(packets[2:4])))
        for order in ((3, 1, 0, 2), (0, 1, 2, 3)):
            got = read(*[word for i in order for word in ('--read', parts[i])])
            expect(times(got) == want, order, times(got))
        odd, even = files.add('odd', pcap(packets[1::2])), pcap(packets[::2])
        expect(times(read('--read', odd, '--read', '-', stdin=even)) == want, 'overlapping files, one of them a pipe')
        many = [files.add('one%d' % i, pcap([p])) for i, p in enumerate(packets)] * 40
        start = read(*[word for path in many for word in ('-r', path)])[0]
        expect(start['file'].endswith('and 319 more'), start)


def test_cut_in_the_middle():
    """a truncated capture is reported up to the truncation, and the exit status is 1"""
    whole = pcap(story())
    zipped = gzip.compress(whole)
    with Files() as files:
        for name, content in (('pcap', whole[:-3]), ('pcapng', pcapng(story())[:-7]), ('gzip', zipped[:-20]),
                              ('header', whole[:-70])):
            path = files.add(name, content)
            done = run('--read', path)
            text = done.stdout.decode() + done.stderr.decode()
            expect(done.returncode == 1, name, done.returncode)
            expect('CUT SHORT %s is damaged or cut off here' % path in ' '.join(text.split()), text)
            expect('10.200.7.9:5274' in text, 'the report is missing:', text)
        expect('ends in the middle' in run('--read', os.path.join(files.folder.name, 'gzip')).stderr.decode(), 'gzip')
        good = files.add('good', pcap(silent(START + 60 * SECOND, ('10.1.4.24', 0))))
        got = read('--read', os.path.join(files.folder.name, 'pcap'), '--read', good, status=1)
        expect(len(of(got, 'connection')) == 3, 'the other file is read to its end:', got)


def test_errors():
    """a file that is not a capture is refused with a clear message, before any other output"""
    with Files() as files:
        add = files.add
        whole = pcap(story())
        cases = ((add('empty', b''), 'it is empty'), (add('text', b'GET / HTTP/1.0\r\n' * 9), 'not a capture'),
                 (files.folder.name, 'it is a directory'), ('/nowhere/at/all', 'No such file or directory'),
                 (add('wifi', pcap(story(), link=105)), 'link type, 105 (IEEE802_11), are not understood'),
                 (add('unknown', pcap(story(), link=60000)), 'not understood'),
                 (add('zst', b'\x28\xb5\x2f\xfd' + whole), 'zstd -dc FILE | probe --read -'),
                 (add('none', whole[:24]), 'holds no packet'), (add('half', whole[:20]), 'truncated dump file'),
                 (add('damaged.gz', b'\x1f\x8b' + whole), 'damaged'), ('-', 'it is empty'))
        for path, words in cases:
            done = run('--read', path)
            errors = done.stderr.decode()
            expect(done.returncode == 1 and not done.stdout, path, done.returncode, done.stdout.decode())
            expect(words in errors and path in errors, path, errors)
            expect('AddressSanitizer' not in errors and len(errors.splitlines()) < 3, errors)
        for words, arguments in (('can be read once', ('-r', '-', '-r', '-')), ('not both', ('-r', 'x', '-i', 'lo')),
                                 ('for --iface use --client', ('-i', 'lo', 'port', '80'))):
            done = run(*arguments)
            expect(done.returncode == 2 and words in done.stderr.decode(), arguments, done.stderr.decode())


def test_two_interfaces():
    """if libpcap stops at an interface of another link type, the message names a way around"""
    whole = pcapng(story())
    second = bytearray(whole[28:28 + 32])  # the interface description block
    struct.pack_into('<I', second, 12, 96)
    with Files() as files:
        path = files.add('two', whole + bytes(second))
        done = run('--read', path)
        expect(done.returncode == 1 and b'10.200.7.9' in done.stdout, done.stdout.decode())
        expect(b"tshark -r FILE -Y 'frame.interface_id == 0' -F pcap -w ONE" in done.stderr, done.stderr.decode())


def is_known(name):
    try:
        return bool(socket.getaddrinfo(name, None, socket.AF_INET))
    except OSError:
        return False  # a minimal system without /etc/hosts


def test_filter_hides_the_culprit():
    """a filter that hides what the clients wait for is reported: else the report would say that nothing failed"""
    with Files() as files:
        path = files.add('office', pcap(office()))
        whole = run('--read', path).stdout.decode()
        expect('10.200.7.9:5274 does not answer' in whole and 'not seen' not in whole, whole)
        part = run('--read', path, 'tcp port 80 or tcp port 443').stdout.decode()
        expect('the filter leaves out what these hosts try' in ' '.join(part.split()), part)
        expect('no TCP attempt of these hosts failed' not in ' '.join(part.split()), part)


def test_filter():
    """a filter in tcpdump's syntax selects packets and does not shift any time"""
    with Files() as files:
        path = files.add('story', pcap(story()))
        whole = times(read('--read', path))
        for words in (['host', DEAD[0]], ['tcp dst port 5274 and not host 192.0.2.1']):
            got = read('--read', path, *words)
            expect(times(got) == [t for t in whole if DEAD[0] in t[1]], words, times(got))
            expect(got[0]['start'] == read('--read', path)[0]['start'], 'the start time has changed')
        expect(not of(read('--read', path, 'udp'), 'connection'), 'udp')
        raw = files.add('raw', pcap(story(), link=101))
        expect(len(of(read('--read', raw, '--read', path, 'port', '80'), 'connection')) == 1, 'for each link type')
        # The probe resolves names before it reads the capture: after that it cannot open files.
        for capture, link in ((path, 'ethernet'), (raw, 'raw')) if is_known('localhost') else ():
            expect(len(times(read('--read', capture, 'not', 'host', 'localhost'))) == 2, 'names', link)
            expect(not times(read('--read', capture, 'host', 'localhost')), 'names', link)
        done = run('--read', path, 'port', 'eighty-one')
        expect(done.returncode == 1 and 'filter "port eighty-one"' in done.stderr.decode(), done.stderr.decode())
        done = run('--read', path, raw)
        expect(done.returncode == 1 and 'it needs its own --read' in done.stderr.decode(), done.stderr.decode())


def test_count():
    """--count with a capture says once, not twice, why the run ended"""
    with Files() as files:
        done = run('--read', files.add('office', pcap(office())), '--count', '3')
        expect(done.returncode == 0 and done.stderr.decode().count('(--count)') == 1, done.stderr.decode())


def test_short_frames():
    """frames that end within their link header are counted, not ignored"""
    with Files() as files:
        short = [(START, b'')] + [(START, b'\0' * 14 + b'\x45' * n) for n in range(1, 4)]
        for link, head in ((1, b''), (113, b''), (9, b''), (101, b''), (239, b'')):
            got = read('--read', files.add('short%d' % link, pcap(short, link=link, head=head)))
            c = got[-1]
            unparsed = c['not_understood']
            expect(c['lost']['truncated'] + unparsed['unknown_link'] + unparsed['malformed'] >= 3, link, c)


def test_midnight():
    """times carry the date if a capture crosses midnight: else its end would seem to come before its start"""
    before = START - START % SECOND - (1700000000 % 86400) * SECOND + 86395 * SECOND  # 23:59:55 UTC
    with Files() as files:
        path = files.add('midnight', pcap(story(before) + story(before + 60 * SECOND)))
        text = subprocess.run([PROBE, '-v', '--read', path], capture_output=True, text=True,
                              env=dict(os.environ, TZ='UTC', LC_ALL='C.UTF-8')).stdout
        expect('11-14 23:59:55' in text and '11-15 00:01:0' in text, text)
        table = text[text.index('PEERS THAT FAIL'):]
        expect('SYNs, 11-14 23:59:55 to 11-15 00:00:' in table, table)
        path = files.add('day', pcap(story(before - 600 * SECOND)))
        expect('11-14' not in run('-v', '--read', path).stdout.decode(), 'a date within one day')


def test_cut_packets():
    """packets that a capture cut short are not measured; they are no attempts that the tool lost"""
    with Files() as files:
        cut = [(START + i, frame[:14 + 20 + 4]) for i, (_, frame) in enumerate(story() * 5)]
        path = files.add('cut', pcap(story() + cut))
        summary = read('--read', path)[-1]
        expect(summary['lost']['truncated'] >= 10 and summary['lost']['sum'] == 0, summary['lost'])
        text = run('--read', path).stdout.decode()
        expect(' 0 lost\n' in text and 'LOST' not in text and 'lost by this tool' not in text, text)
        report = ' '.join(text[text.index('NOT MEASURED'):].split())
        expect('%d packets whose headers could not be read' % summary['lost']['truncated'] in report, text)


def test_singular():
    """one attempt is no "1 attempts", and nothing that is missing is shown as a dash"""
    one = list(connection(START, SECOND // 1000))
    with Files() as files:
        for name, packets in (('whole', one), ('silent', list(silent(START))), ('syn', one[:1]), ('half', one[:2]),
                              ('idle', one[:3]), ('one side', one[:1] + one[2:4])):
            text = run('-v', '--read', files.add('one', pcap(packets))).stdout.decode()
            for line in text.splitlines()[1:]:
                expect(not re.search(r'(?<![\d.:-])1 (attempts|connections|SYNs|hosts|clients|servers|peers|stalls|were)\b'
                                     r'|\u2013|unknown', line), name, text)


def test_memory():
    """memory does not grow with the capture: a file eight times as long needs no more"""
    with Files() as files:
        peaks = []
        for megabytes in (6, 48):
            path = os.path.join(files.folder.name, str(megabytes))
            large_capture.write(path, megabytes * 10**6, 5000)
            process = subprocess.Popen(['/bin/sh', '-c', 'exec "$0" -r "$1" >/dev/null', PROBE, path])
            _, status, usage = os.wait4(process.pid, 0)
            expect(status == 0, 'status', status)
            peaks.append(usage.ru_maxrss)
        expect(peaks[1] < 1.3 * peaks[0] + 4096, 'KiB of memory:', peaks)
