"""Hostile names of interfaces, files and DNS, hostile arguments and environment, in every output.

If this fails, the author of a name or a capture can move the terminal's cursor, forge a line of the report, or run
a script in the page.
"""
import html
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import threading

import schema
from captures import DEAD, SERVER, START, SYN, Files, connection, frame, lookup, of, pcap, story
from netns import require_own_network
from probe import PROBE, SECOND, expect

require_own_network()

# a terminal title, a bell, a change of the writing direction, invalid UTF-8, markup
OUTER = b'\x1b]0;\x07\xe2\x80\xae\xff<b>"'
# a control character of two bytes (CSI), a character without width, an entity, delete
INNER = b"\xc2\x9b5n\\\xe2\x80\x8b'&\x7f"
# file names may contain more: a forged line, a format, an escape sequence cut in the middle
FILE = b'\nprobe: all is well\n\x1b[2J%n%s\xe2\x80<script>alert(1)<!--\xf0\x9f'.replace(b'/', b'')

# Names of DNS, by their labels: any byte may be in one.
NAMES = (
    [b'\x1b]0;x\x07\x1b[2j\x1b[1a\r', b'example'],
    [b'\nprobe: all is well\n\n1  nobody fails', b'\t\x00\x08\x7f', b'example'],
    [b'\'"`\\', b'"}\n{"type":"finding"', b'${x}$(x)%n%s', b'example'],
    [b'</script><script>alert(1)<!--', b'&lt;b&gt;<b>"\' onclick=x', b']]>--></title></pre>'],
    [b'\xff\xfe\xc2\x9b5n', b'\xe2\x80\xae\xe2\x80\x8b\xe2\x80', b'\xc0\xae\xed\xa0\x80\xf0\x9f'],
    [b'www.example.com', b'.', b'..', b'10.0.0.1:80'],
    [b'\x1b' * 63, b'\xc2\x9b' * 31 + b'\n', b'example'],
    [b'<b>"' * 15, b'\x9b' * 63, b'\xe2\x80\xae' * 21, b'\n' * 60],  # with the label before it: 255 bytes
    [b'x' * 63, b'\x00' * 63, b'"' * 63, b'.' * 57],
)

LOCALES = ({'LC_ALL': 'C.UTF-8'}, {'LC_ALL': 'C'}, {'LANG': '\x1b[2J', 'TERM': '\x1b[2J', 'LC_ALL': ''})

# C0 except the line feed, delete, C1, and the control and format characters of Unicode
HARM = re.compile('[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb'
                  '\U000e0000-\U0010ffff]')


def harmless(what, where, ascii_only=False):
    """Returns the text, after checking that it is UTF-8 without characters that control a terminal."""
    try:
        text = what.decode('ascii' if ascii_only else 'utf-8')
    except UnicodeDecodeError as e:
        raise AssertionError('%s: %s: %r' % (where, e, what[max(0, e.start - 60):e.end + 60])) from e
    found = HARM.search(text)
    expect(not found, where, found and ascii(text[max(0, found.start() - 60):found.end() + 60]))
    return text


def environment(locale):
    # Python itself sets LC_CTYPE if it finds no locale.
    kept = {k: v for k, v in os.environ.items() if k not in ('LC_ALL', 'LANG', 'LC_CTYPE')}
    return dict(kept, **locale)


def run(*arguments, locale=LOCALES[0], **how):
    return subprocess.run([PROBE] + list(arguments), capture_output=True, env=environment(locale), **how)


# the escape sequences of the probe itself
OWN = re.compile(rb'\x1b\[(0|1|7|31|32|33)?m|\x1b\[J|\r')


class Interfaces:
    """Two interfaces with hostile names and with addresses, connected to each other."""

    def __enter__(self):
        self.ip('link', 'set', 'lo', 'up')
        self.ip('link', 'add', 'name', OUTER, 'type', 'veth', 'peer', 'name', INNER)
        for name, address in ((OUTER, '10.77.1.1/24'), (INNER, '10.77.2.1/24')):
            self.ip('link', 'set', 'dev', name, 'up')
            self.ip('address', 'add', address, 'dev', name)
        # no host answers at this address
        self.ip('neighbour', 'add', '10.77.1.9', 'lladdr', '02:00:00:00:00:09', 'dev', OUTER)
        return self

    def __exit__(self, *_):
        self.ip('link', 'delete', 'dev', OUTER)

    @staticmethod
    def ip(*words):
        subprocess.run(['ip'] + list(words), check=True)


def options_of(block):
    """Yields the known options of a pcapng block as (code, value)."""
    kind, size = struct.unpack_from('<II', block)
    at = {0x0a0d0d0a: 24, 1: 16, 6: 28}[kind]
    if kind == 6:
        at += struct.unpack_from('<I', block, 20)[0] + 3 & ~3
    while at < size - 4:
        code, length = struct.unpack_from('<HH', block, at)
        if not code:
            return
        yield kind, code, block[at + 4:at + 4 + length]
        at += 4 + (length + 3 & ~3)


def texts_of(pcapng):
    """Returns the comments and names in a pcapng file."""
    at = 0
    while at < len(pcapng):
        size, = struct.unpack_from('<I', pcapng, at + 4)
        for kind, code, value in options_of(pcapng[at:at + size]):
            if code == 1 or (kind == 1 and code == 2):
                yield value
        at += size
    expect(at == len(pcapng), 'the lengths of the blocks do not add up')


def content(path):
    with open(path, 'rb') as f:
        return f.read()


def zone_and_peer(labels):
    """A zone that is not answered, and a silent peer, both with this name: four hosts wait for each of them."""
    packets = []
    for n in range(12):
        client, at = '10.1.4.%d' % (1 + n % 4), START + 15 * n * SECOND
        packets += lookup(at, client, b'www%d.good.test' % n, SERVER[0], number=1)
        packets += connection(at + 2 * 10**6, 10**6, (client, 50000 + n), SERVER, isn=1000 * n)
        packets += lookup(at + SECOND, client, [b'%03d' % n] + labels, number=10, asked=(0, 2, 4))
        packets += lookup(at + 8 * SECOND, client, labels, DEAD[0], number=20, resolver=('10.1.0.54', 53))
        for i, after in enumerate((0, 1, 3)):
            packets.append((at + (8 + after) * SECOND + 3 * 10**6, frame((client, 52000 + n), DEAD, SYN, 5, 0, ip_id=20 + i)))
    return sorted(packets)


def escaped(labels):
    """Returns how a name is shown: each byte that is not of a usual host name as a number of three digits."""
    return '.'.join(re.sub(rb'[^a-z0-9_-]', lambda m: b'\\%03d' % m[0][0], label).decode() for label in labels)


def expect_shown(labels, what, where):
    """The text has the escaped name, or the beginning and the end of one that is too long for a sentence."""
    name, what = escaped(labels), ''.join(what.split())
    if len(name) < 96:
        expect(name in what, where, name, what)
    else:
        expect(re.search(r'\.\.\.\S*' + re.escape(name[-40:]), what), where, name, what)


def watch(*arguments, locale):
    """Runs the probe live while a client tries a silent server. Returns status, standard output and standard error."""
    p = subprocess.Popen([PROBE] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(locale))
    errors = b''
    while b'watching' not in errors:
        line = p.stderr.readline()
        expect(line, errors)
        errors += line
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(('10.77.1.9', 5274))
    text = b''
    while b'no answer' not in text:
        line = p.stdout.readline()
        expect(line, text)
        text += line
    p.send_signal(signal.SIGINT)
    rest = p.communicate()
    s.close()
    return p.returncode, text + rest[0], errors + rest[1]


def test_interfaces():
    """a live run on interfaces with hostile names escapes them in every output, and its files are valid"""
    with Interfaces(), Files() as files:
        names = [os.path.join(files.folder.name, name) for name in ('out.json', 'out.html', 'out.pcapng')]
        for locale, more in ((LOCALES[0], ['--follow-peers']), (LOCALES[0], ['-i', INNER]),
                             (LOCALES[0], ['--hook', 'clsact']), (LOCALES[1], []), (LOCALES[2], [])):
            status, text, errors = watch('-i', OUTER, '-v', '--json=' + names[0], '--html', names[1],
                                         '--write', names[2], '--force', *more, locale=locale)
            expect(status == 0, locale, more, errors)
            ascii_only = locale is not LOCALES[0]
            text, errors = harmless(text, 'standard output', ascii_only), harmless(errors, 'standard error', ascii_only)
            for shown in (errors, text):
                expect('\\x1b]0;\\x07\\u202e\\xff<b>"' in shown, shown)
            expect('10.77.1.9:5274 does not answer' in text and 'leaves by the route to 10.77.1.0/24 (\\x1b]0;' in text, text)
            objects = schema.load(harmless(content(names[0]), 'JSON', True))
            expect(objects[0]['interfaces'][0]['name'] == '\x1b]0;\x07\u202e\xff<b>"', objects[0])
            page = harmless(content(names[1]).replace(b'\t', b' '), 'page')
            expect('<b>' not in page and '‹U+202E›' in page, 'a name inserts markup into the page')
            for comment in texts_of(content(names[2])):
                harmless(comment, 'pcapng')


def test_notices():
    """messages about changes of an interface with a hostile name escape that name"""
    with Files() as files:
        out = os.path.join(files.folder.name, 'out.json')
        with Interfaces():
            p = subprocess.Popen([PROBE, '-i', OUTER, '--json=' + out], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 env=dict(os.environ, LC_ALL='C.UTF-8'))
            errors = p.stderr.readline()
            Interfaces.ip('link', 'set', 'dev', OUTER, 'down')
            errors += p.stderr.readline()
        text, rest = p.communicate()
        errors = harmless(errors + rest, 'standard error')
        expect(p.returncode == 1 and '<b>" is down' in errors and '<b>" went away' in errors, errors)
        text = harmless(text, 'standard output')
        expect('CUT SHORT \\x1b]0;' in ' '.join(text.split()), text)
        schema.load(harmless(content(out), 'JSON', True))


def on_terminal(*arguments):
    """Runs the probe on a terminal. Returns the completed process and the bytes that the terminal got."""
    master, slave = pty.openpty()
    seen = []

    def read():
        try:
            while True:
                seen.append(os.read(master, 65536))
        except OSError:
            pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    done = subprocess.run([PROBE] + list(arguments), stdin=slave, stdout=slave, stderr=slave,
                          env=dict(os.environ, LC_ALL='C.UTF-8', TERM='xterm'))
    os.close(slave)
    reader.join(20)
    os.close(master)
    expect(not reader.is_alive(), 'the terminal was not closed')
    return done, b''.join(seen)


def test_terminal():
    """on a terminal with colours, the output contains no escape sequences except the probe's own"""
    with Interfaces():
        done, seen = on_terminal('-i', OUTER, '-v', '-d', '2')
        expect(done.returncode == 0, done)
        text = harmless(OWN.sub(b'', seen), 'terminal')
        expect('\\x1b]0;\\x07\\u202e\\xff<b>"' in text and OWN.search(seen), text)


def test_files():
    """every message that contains a hostile file name escapes it, and so does the report"""
    with Files() as files:
        folder = files.folder.name.encode()
        capture, absent = os.path.join(folder, FILE), os.path.join(folder, b'absent' + FILE)
        broken, nothing = os.path.join(folder, b'broken' + FILE), os.path.join(folder, b'none' + FILE)
        for path, packets in ((capture, pcap(story())), (broken, pcap(story())[:-3]), (nothing, pcap([]))):
            with open(path, 'wb') as f:
                f.write(packets)
        out = [os.path.join(folder, kind + FILE) for kind in (b'json', b'html', b'pcapng')]
        for locale in LOCALES:
            ascii_only = locale is not LOCALES[0]
            done = run('--read', capture, b'--json=' + out[0], '--html', out[1], '--write', out[2], '--force', '-v', locale=locale)
            expect(done.returncode == 0, done)
            text = harmless(done.stdout, 'standard output', ascii_only)
            errors = harmless(done.stderr, 'standard error', ascii_only)
            # Each line of the program is one line of output.
            for shown in (text, errors):
                expect(not re.search('^probe: all is well', shown, re.M), shown)
                expect('\\x0aprobe: all is well\\x0a\\x1b[2J%n%s\\xe2\\x80<script>' in shown, shown)
            objects = schema.load(harmless(content(out[0]), 'JSON', True))
            expect(objects[0]['file'].endswith('<!--\xf0\x9f'), objects[0])
            page = harmless(content(out[1]).replace(b'\t', b' '), 'page')
            expect('alert(1)<' not in page.replace('&lt;', ''), 'a name inserts markup into the page')
            comments = [harmless(c, 'pcapng') for c in texts_of(content(out[2]))]
            expect(any('\\x1b[2J' in c for c in comments), comments)
            for status, arguments in ((1, ('--read', absent)), (1, ('--read', broken)), (1, ('--read', nothing)),
                                      (1, ('--read', capture, '--write', os.path.join(absent, b'x'))),
                                      (1, ('--read', capture, '--write', capture)),
                                      (1, ('--read', capture, '--write', out[0])),
                                      (1, ('--read', capture, capture)), (1, ('--read', capture, 'host', FILE)),
                                      (1, ('--read', capture, '--read', folder))):
                done = run(*arguments, locale=locale)
                expect(done.returncode == status, arguments, done)
                errors = harmless(done.stderr, arguments, ascii_only)
                harmless(done.stdout, arguments, ascii_only)
                expect(errors and not re.search('^probe: all is well', errors, re.M), arguments, errors)


def test_arguments():
    """wrong arguments are escaped in error messages, whichever library prints them"""
    with Interfaces():
        for locale in LOCALES:
            for status, arguments in ((2, ('--hook', OUTER)), (2, (b'--' + OUTER,)), (2, (b'-\x1b',)), (2, ('--duration', OUTER)),
                                      (2, ('-i', 'lo', OUTER)), (2, ('--port', INNER)), (2, ('--client', OUTER)),
                                      (2, ('--dns-port', INNER)), (2, (b'--quiet=' + OUTER,)), (1, ('-i', b'x' + OUTER[:9])), (1, ('-i', 'nothing')),
                                      (1, ('-i', 'lo', '--netns', OUTER)), (1, ('--cleanup', '-i', b'x' + INNER)),
                                      (0, ('--cleanup', '-i', OUTER))):
                done = run(*arguments, locale=locale)
                expect(done.returncode == status, arguments, done)
                expect(done.stderr or done.stdout, arguments)
                harmless(done.stderr + done.stdout, arguments, locale is not LOCALES[0])


def test_long():
    """a long name does not push the rest of the message out of the line"""
    with Files() as files:
        folder = os.path.join(files.folder.name, *['%03d' % i + 'x' * 246 for i in range(14)])
        os.makedirs(folder)
        capture = os.path.join(folder, 'y' * 240)
        with open(capture, 'wb') as f:
            f.write(pcap(story())[:-3])
        done = run('--read', capture)
        text, errors = done.stdout.decode(), done.stderr.decode()
        expect(done.returncode == 1 and 'is damaged or cut off here: truncated' in errors and
               'is damaged or cut off here: truncated' in text, text, errors)
        expect(max(map(len, text.splitlines())) < 600 and len(errors) < 1000, text, errors)
        done = run('--read', capture + 'z', '--json=/dev/null')
        expect(done.returncode == 1 and 'No such file' in done.stderr.decode() and len(done.stderr) < 600, done.stderr)
        done = run('--read', capture, '--json')
        expect(json.loads(done.stdout.splitlines()[0])['file'] == capture, 'the JSON lines contain the whole name')


def test_dns_names():
    """a hostile name of a silent zone or peer is escaped in text, page, JSON lines and comments of the evidence"""
    with Files() as files:
        names = [os.path.join(files.folder.name, name) for name in ('out.json', 'out.html', 'out.pcapng')]
        for labels in NAMES:
            capture = files.add('capture', pcap(zone_and_peer(labels)))
            for locale, mode in ((LOCALES[0], 'evidence'), (LOCALES[0], 'all'), (LOCALES[1], 'all'), (LOCALES[2], 'evidence')):
                done = run('--read', capture, '-v', '--names', mode, '--json=' + names[0], '--html', names[1],
                           '--write', names[2], '--snap', '600', '--force', locale=locale)
                expect(done.returncode == 0, labels, done)
                text = harmless(done.stdout, labels, locale is not LOCALES[0])
                harmless(done.stderr, labels, locale is not LOCALES[0])
                expect_shown(labels, text, 'text')
                expect(not re.search('^(probe: all is well|1  nobody)', text, re.M), text)
                objects = schema.load(harmless(content(names[0]), labels, True))
                findings = of(objects, 'finding')
                zone = next(f for f in findings if f['kind'] in ('zone-unanswered', 'waits-for-peer'))
                peer = next(f['peer'] for f in findings if f['peer'] and f['peer']['address'] == DEAD[0])
                for what in (zone['text'], peer['name']):
                    harmless(what.encode(), labels)
                    expect_shown(labels, what, 'JSON')
                expect(len(peer['name']) < 100, 'no room for the sentence', peer)
                check_dns_page(labels, harmless(content(names[1]).replace(b'\t', b' '), labels))
                comments = [harmless(c, labels) for c in texts_of(content(names[2]))]
                expect_shown(labels, comments[0], 'comment of the file')
                expect(any('of this lookup: not answered' in c for c in comments), comments)


def check_dns_page(labels, page):
    """The name is in the page, as text only."""
    expect(page.count('</script') == 2 and '<b>' not in page and 'alert(1)<' not in page, labels, 'a name inserts markup')
    block = re.search(r'<script type="application/x-ndjson" id="objects">\n(.*?)</script>', page, re.S)
    objects = [json.loads(line) for line in block[1].splitlines()]
    for f in of(objects, 'finding'):
        harmless('\n'.join([f['text']] + [e['text'] for e in f['evidence']]).encode(), labels)
    shown = re.sub('<(script|style)[ >].*?</\\1>', '', page, flags=re.S)
    expect_shown(labels, html.unescape(re.sub('<[^>]*>', '', shown)), 'page')


def test_dns_names_on_terminal():
    """on a terminal with colours, names of DNS add no escape sequence to the probe's own"""
    with Files() as files:
        for labels in NAMES:
            capture = files.add('capture', pcap(zone_and_peer(labels)))
            done, seen = on_terminal('--read', capture, '-v', '--names', 'all')
            expect(done.returncode == 0 and OWN.search(seen), done, seen)
            expect_shown(labels, harmless(OWN.sub(b'', seen), labels), 'terminal')
