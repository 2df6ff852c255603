"""The status line and the report on terminals: wide, narrow, resized, stopped, dumb, other locales, and none.

A small terminal emulator in this file shows what the user would see.
"""
import codecs
import contextlib
import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time

import captures
import netns
from netns import CLIENTS, DEAD4, DEAD6, GATEWAY, SERVER4, SERVER6, WAN, require_lab
from probe import PROBE, expect, wait_until_watching

require_lab(clients=2)

EVENT = re.compile(r'(?:\d\d-\d\d )?\d\d:\d\d:\d\d (\S+|\d+\+? clients) +(→|->) +(\S+|\d+\+? servers) +(stall|waiting|no answer|refused|late greeting|'
                   r'unreachable|answers after all|[a-z ]+, reported by).*$')
STATUS = re.compile(r'[^·|]+ (·|\|) .*late.* lost( (·|\|) .*coincidences: \S+)?$')
HEADING = re.compile(r'TIME +CLIENT +SERVER +WHAT$')


class Screen:
    """A terminal: its rows, including those that have scrolled away. On resize it reflows its lines, or does not."""

    def __init__(self, columns, reflows=True):
        self.columns, self.reflows = columns, reflows
        self.rows, self.wrapped, self.x = [''], [False], 0
        self.decoder = codecs.getincrementaldecoder('utf-8')()
        self.rest = ''
        self.colours = set()

    def feed(self, data):
        text = self.rest + self.decoder.decode(data)
        self.rest = ''
        i = 0
        while i < len(text):
            if text[i] == '\x1b':
                code = re.match(r'\x1b\[([?\d;]*)([A-Za-z])', text[i:])
                if not code:
                    expect(len(text) - i < 8, 'not understood', repr(text[i:i + 20]))
                    self.rest = text[i:]
                    return
                self.escape(code[1], code[2])
                i += len(code[0])
                continue
            self.put(text[i])
            i += 1

    def escape(self, numbers, letter):
        if letter == 'm':
            self.colours.add(numbers)
        elif letter == 'J' and numbers in ('', '0'):
            del self.rows[self.y + 1:], self.wrapped[self.y + 1:]
            self.rows[self.y] = self.rows[self.y][:self.x]
        elif numbers != '?2004':  # bracketed paste, set by the shell
            raise AssertionError('an escape sequence that some terminals do not support: ' + numbers + letter)

    y = 0

    def put(self, c):
        if c == '\r':
            self.x = 0
        elif c == '\n':
            self.down(False)
        else:
            expect(c.isprintable(), 'a control character', repr(c))
            if self.x == self.columns:
                self.down(True)
                self.x = 0
            row = self.rows[self.y].ljust(self.x)
            self.rows[self.y] = row[:self.x] + c + row[self.x + 1:]
            self.x += 1

    def down(self, wrapped):
        self.y += 1
        if self.y == len(self.rows):
            self.rows.append('')
            self.wrapped.append(wrapped)

    def resize(self, columns):
        if not self.reflows:
            self.rows = [row[:columns] for row in self.rows]
            self.columns, self.x = columns, min(self.x, columns - 1)
            return
        rows, wrapped, y, x = [], [], 0, 0
        for i, line in enumerate(self.logical()):
            pieces = [line[at:at + columns] for at in range(0, len(line), columns)] or ['']
            at = sum(1 for w in self.wrapped[:self.y + 1] if not w) - 1
            if i == at:
                first = max(j for j in range(self.y + 1) if not self.wrapped[j])
                offset = sum(len(self.rows[j]) for j in range(first, self.y)) + self.x
                y, x = len(rows) + offset // columns, offset % columns
            rows += pieces
            wrapped += [False] + [True] * (len(pieces) - 1)
        self.rows, self.wrapped, self.y, self.x, self.columns = rows, wrapped, y, x, columns

    def logical(self):
        lines = []
        for row, wrapped in zip(self.rows, self.wrapped):
            if wrapped:
                lines[-1] += row
            else:
                lines.append(row)
        return lines

    @property
    def text(self):
        return '\n'.join(self.rows)


class Terminal:
    """The probe with a terminal as standard output and error, for the time of a with block."""

    def __init__(self, *arguments, columns=80, reflows=True, command=None, stdout=None, stdin=None, **environment):
        self.arguments, self.screen, self.command = list(arguments), Screen(columns, reflows), command
        self.stdout, self.stdin = stdout, stdin
        self.environment = {k: v for k, v in os.environ.items() if k not in ('NO_COLOR', 'COLUMNS')}
        self.environment.update({'TERM': 'xterm', 'LC_ALL': 'C.UTF-8'}, **environment)
        self.output, self.lock, self.paused = b'', threading.Lock(), threading.Event()
        self.paused.set()

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.master, slave = pty.openpty()
        self.size(self.screen.columns)
        if not self.command:
            self.command = ['nsenter', '--net=/run/netns/' + GATEWAY, PROBE, '--iface', netns.LAN_IFACE] + self.arguments
        self.process = subprocess.Popen(self.command, stdin=self.stdin or slave, stdout=self.stdout or slave, stderr=slave,
                                        env=self.environment, preexec_fn=self.own_terminal, cwd=self.folder.name)
        os.close(slave)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        if '--quiet' in self.command:
            wait_until_watching(self.process.pid)
        elif PROBE in self.command and '--iface' in self.command:
            self.wait('probe: watching')
        return self

    @staticmethod
    def own_terminal():
        os.setsid()
        fcntl.ioctl(2, termios.TIOCSCTTY, 0)

    def size(self, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))

    def read(self):
        try:
            while self.paused.wait():
                data = os.read(self.master, 4096)
                with self.lock:
                    self.output += data
                    self.screen.feed(data)
        except OSError:
            pass
        except BaseException as e:  # an error of the screen: re-raised in the test
            self.broken = e

    broken = None

    def resize(self, columns):
        with self.lock:
            self.screen.resize(columns)
            self.size(columns)

    def type(self, keys):
        os.write(self.master, keys)

    def wait(self, what, text='', timeout=30):
        """Waits until the condition (a function of the screen) holds or the text is on the screen."""
        end = time.monotonic() + timeout
        while True:
            if self.broken:
                raise self.broken
            with self.lock:
                if what(self.screen) if callable(what) else what in self.screen.text:
                    return
                seen = self.screen.text
            expect(time.monotonic() < end, 'timeout while waiting for', text or what, 'on the screen:\n' + seen)
            time.sleep(0.02)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.status = self.process.wait(30)
        self.paused.set()
        self.reader.join(30)
        if self.broken:
            raise self.broken

    def __exit__(self, *_):
        if not hasattr(self, 'status'):
            self.process.kill()
            self.stop()
        os.close(self.master)
        self.folder.cleanup()


def status_is_shown(screen):
    return STATUS.match(screen.rows[-1])


def events(rows):
    """Returns the rows before the report, after checking that each is a complete event line."""
    found = []
    for row in rows:
        row = row.rstrip()
        if EVENT.match(row):
            found.append(row)
        elif re.match(r'[\d.]+ (s|min|ms) .*on ', row):
            return found
        else:
            expect(not row or row.startswith('probe: ') or HEADING.match(row), 'a torn line:', repr(row), '\n'.join(rows))
    return found


def hold(namespace, addresses, think):
    return netns.fork(namespace, lambda: [netns.browse(address, 80, think=think) for address in addresses])


@contextlib.contextmanager
def servers():
    with netns.Serve(WAN, {(SERVER4, 80): netns.answers, (SERVER6, 80): netns.answers}):
        yield


def some_stalls(n=4, think=1.2):
    for wait in [hold(client, [SERVER4, SERVER6][i % 2:][:1], think) for i in range(n) for client in CLIENTS]:
        wait()


def test_status_line():
    """the status line shows the current counts, splits no event line, and leaves nothing behind at the end"""
    with servers(), Terminal() as t:
        t.wait(status_is_shown, 'the status line')
        some_stalls()
        t.wait(lambda s: status_is_shown(s) and '8 late' in s.rows[-1], '8 late')
        expect('connects, 0 opening' in t.screen.rows[-1] and '0 lost' in t.screen.rows[-1], t.screen.rows[-1])
        t.stop()
    expect(t.status == 0 and len(events(t.screen.rows)) == 8, t.screen.text)
    expect(not any(STATUS.match(row) for row in t.screen.rows), t.screen.text)
    expect(not any('-o' in colour for colour in t.screen.colours) and '33' in t.screen.colours, t.screen.colours)
    expect('8 connects' in t.screen.text and max(map(len, t.screen.rows)) <= 80, t.screen.text)


def test_failing_peers():
    """the status line counts failing peers, and no longer counts a peer after it has answered"""
    with Terminal(columns=120) as t:
        wait = netns.fork(CLIENTS[0], lambda: [netns.try_connect(a, 5274, 5) for a in (DEAD4,)])
        t.wait('1 peer failing')
        wait()
        t.stop()
    expect(len(events(t.screen.rows)) == 1, t.screen.text)


def test_wide_and_narrow():
    """IPv6 addresses are complete on 200 columns and on 80, and no row is longer than the terminal"""
    def of(columns):
        with servers(), Terminal(columns=columns) as t:
            wait = netns.fork(CLIENTS[0], lambda: netns.try_connect(DEAD6, 5274, 4))
            netns.run(CLIENTS[0], lambda: netns.browse(SERVER6, 80, think=1.1))
            wait()
            t.wait('no answer')
            t.wait('stall')
            t.stop()
        lines = t.screen.text[t.screen.text.index('TIME'):].split('\n\n')[0]  # between the first message and the tables
        expect(lines in '\n'.join(t.screen.logical()), 'the terminal has wrapped a line', lines)
        expect(columns < 80 or not any(t.screen.wrapped), t.screen.text)
        return t.screen

    for columns in (200, 80, 48):
        screen = of(columns)
        expect('[%s]:5274' % DEAD6 in screen.text and '[%s]:80' % SERVER6 in screen.text, screen.text)
        if columns == 200:
            lines = events(screen.rows)
            expect(len({line.index('→') for line in lines[-1:]}) == 1 and len(lines) == 2, lines)


def test_resize():
    """resizing the window breaks no line, on terminals that reflow and on those that do not"""
    for reflows in (True, False):
        with servers(), Terminal(columns=150, reflows=reflows) as t:
            t.wait(status_is_shown, 'the status line')
            working = threading.Thread(target=some_stalls, args=(6, 1.5))
            working.start()
            for columns in (100, 90, 110, 84, 200, 86, 130):
                t.resize(columns)
                t.wait(lambda s: status_is_shown(s) and len(s.rows[-1]) < s.columns, 'the status line', 10)
                time.sleep(0.2)
            working.join()
            t.wait(lambda s: '12 late' in s.rows[-1], '12 late')
            t.stop()
        expect(len(events(t.screen.logical())) == 12, t.screen.text)


def test_narrow_status():
    """on a narrow terminal the status line keeps the most important counts"""
    with Terminal(columns=44) as t:
        t.wait(lambda s: re.match(r'\d s · 0 late · 0 failing · 0 lost$', s.rows[-1]), 'the short status line')
        t.stop()


def wait_for_dead(address, pause):
    """A client of which each page waits for an attempt at a dead server, and then does without."""
    for _ in range(3):
        with socket.create_connection((SERVER4, 80)) as s:
            netns.try_connect(address, 5274, pause)
            s.sendall(b'GET / HTTP/1.0\r\n\r\n')
            s.recv(1000)


def test_coincidences():
    """the status line tells while the run goes on how often waits coincided with attempts at a dead server"""
    with servers(), Terminal(columns=60) as t:
        waits = [netns.fork(client, lambda: wait_for_dead(DEAD4, 4)) for client in CLIENTS[:2]]
        shown = re.compile(r'\d+ s · (\d late · \d failing · )?0 lost · (\d of 3|\d) coincidences: %s:5274$' % re.escape(DEAD4))
        t.wait(lambda s: shown.match(s.rows[-1]), 'the coincidences', 30)
        for wait in waits:
            wait()
        t.stop()
    expect(t.status == 0 and 'coincidences: ' not in t.screen.text, t.screen.text)

    with servers(), Terminal(columns=60) as t:  # attempts at a dead server that nothing waits for
        waits = [netns.fork(client, lambda: netns.try_connect(DEAD4, 5274, 9)) for client in CLIENTS[:2]]
        time.sleep(1)
        some_stalls(2, 5)
        time.sleep(1)
        expect('coincidences' not in t.screen.rows[-1] and '4 late' in t.screen.rows[-1], t.screen.text)
        for wait in waits:
            wait()
        t.stop()


def test_piped():
    """a pipe or a file gets plain text, and no status line appears on the terminal beside a pipe"""
    with servers(), tempfile.TemporaryFile() as out:
        for errors in (subprocess.PIPE, None):
            process = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=out)
            with Terminal(stdout=process.stdin) as t:
                process.stdin.close()
                some_stalls(1)
                time.sleep(0.5)
                t.stop()
            process.wait()
            expect(t.output.count(b'\n') == 1 and b'\x1b' not in t.output, t.output)
        out.seek(0)
        text = out.read().decode()
    expect('\x1b' not in text and '\r' not in text, repr(text))
    expect(len(events(text.splitlines())) == 2 and text.count(' 2 connects · ') == 2, text)


def test_file():
    """with the report in a file, the terminal still shows the status line"""
    with tempfile.TemporaryFile() as out:
        with Terminal(stdout=out) as t:
            t.wait(status_is_shown, 'the status line')
            t.stop()
        out.seek(0)
        expect(b'\x1b' not in out.read() and t.screen.rows[-1] == '', t.screen.text)


def test_dumb():
    """a dumb terminal, such as an editor's, gets plain lines"""
    for term in ('dumb', ''):
        with servers(), Terminal(TERM=term) as t:
            some_stalls(1)
            t.wait('stall')
            t.stop()
        expect(b'\x1b' not in t.output and b'\r' not in t.output.replace(b'\r\n', b''), t.output)


def test_no_color():
    """NO_COLOR disables colours, also in the status line"""
    with servers(), Terminal(NO_COLOR='1') as t:
        t.wait(status_is_shown, 'the status line')
        some_stalls(1)
        t.wait('stall')
        t.stop()
    expect(not t.screen.colours, t.screen.colours)


def test_ascii():
    """a terminal without UTF-8 gets only ASCII, on every line"""
    with servers(), Terminal(LC_ALL='C') as t:
        t.wait(status_is_shown, 'the status line')
        wait = netns.fork(CLIENTS[0], lambda: netns.try_connect(DEAD4, 5274, 4))
        some_stalls(2)
        wait()
        t.wait('no answer')
        t.stop()
    expect(t.output.isascii() and b' -> ' in t.output and b'us' in t.output, t.output)
    expect(len(events(t.screen.rows)) == 5, t.screen.text)


def test_quiet():
    """-q prints only the report"""
    with servers(), Terminal('--quiet') as t:
        some_stalls(1)
        time.sleep(0.5)
        expect(not t.screen.text.strip(), t.screen.text)
        t.stop()
    expect('2 connects' in t.screen.text and not events(t.screen.rows), t.screen.text)


def test_stopped_and_continued():
    """Ctrl-Z leaves a clean line to the shell, the background run prints only event lines, fg restores all"""
    shell = ['nsenter', '--net=/run/netns/' + GATEWAY, 'bash', '--norc', '--noprofile', '-i']
    with servers(), Terminal(command=shell, PS1='% ', TERM='xterm-mono') as t:
        t.type(('%s --iface %s\n' % (PROBE, netns.LAN_IFACE)).encode())
        t.wait(status_is_shown, 'the status line')
        t.type(b'\x1a')
        t.wait(lambda s: s.rows[-1] == '% ', 'the prompt')
        expect('Stopped' in t.screen.text and not any(STATUS.match(row) for row in t.screen.rows), t.screen.text)
        t.type(b'bg\n')
        some_stalls(1)
        t.wait('stall ')
        expect(not any(STATUS.match(row) for row in t.screen.rows), t.screen.text)
        t.type(b'fg\n')
        t.wait(status_is_shown, 'the status line')
        t.type(b'\x03')
        t.wait('2 connects')
        t.wait(lambda s: s.rows[-1] == '% ', 'the prompt')
        t.type(b'exit\n')
        t.process.wait(10)
        t.stop()
    expect(len([row for row in t.screen.rows if EVENT.match(row.rstrip())]) == 2, t.screen.text)


def connect_often(address, first, last):
    for port in range(first, last):
        netns.try_connect(address, port, 0.01)


def test_flood():
    """a scan of hundreds of servers a second by one client takes a few lines, which state the number"""
    rules = 'chain c { type filter hook prerouting priority 0; tcp dport 2000-8000 reject with tcp reset; }'
    with netns.Rules(WAN, rules), Terminal(columns=120) as t:
        for wait in [netns.fork(CLIENTS[0], connect_often, SERVER4, at, at + 500) for at in range(2000, 5000, 500)]:
            wait()
        t.wait(lambda s: re.search(r'3000 peers? failing', s.rows[-1]), '3000 peers failing')
        t.stop()
    lines = events(t.screen.rows)
    merged = [re.search(r'10\.1\.4\.21 +→ (\S+) servers +refused: (\d+) more in \d+ s', line) for line in lines]
    numbers = [int(match[2]) for match in merged if match]
    expect(numbers and sum(numbers) + len(lines) - len(numbers) == 3000, lines)
    expect(len(lines) < 100, len(lines), 'lines')


def test_terminal_that_stands_still():
    """Ctrl-S stops the screen but not the run: no record is lost, and the output resumes where it stopped"""
    with servers(), Terminal('--json=out.json') as t:
        t.wait(status_is_shown, 'the status line')
        t.type(b'\x13')
        time.sleep(0.5)
        before = len(t.output)
        some_stalls(4)
        path = os.path.join(t.folder.name, 'out.json')
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with open(path) as f:
                if sum('"stall"' in line[:20] for line in f) == 8:
                    break
            time.sleep(0.1)
        else:
            raise AssertionError('the run has stopped as well')
        expect(len(t.output) == before, 'Ctrl-S did not stop the screen', t.output[before:])
        t.type(b'\x11')
        t.wait(lambda s: '8 late' in s.rows[-1], '8 late')
        t.stop()
    expect(len(events(t.screen.rows)) == 8, t.screen.text)
    # Waits this short give no finding, but the report must still state their sum.
    expect('STALLS  8 connects of 2 hosts waited 1 s or more' in t.screen.text, t.screen.text)


def test_progress():
    """the progress of reading a long file is shown on the terminal, and never in the output"""
    stream = captures.pcap([(captures.START, frame) for _, frame in captures.story()] * 10000)
    for where in ('file', 'terminal', 'pipe'):
        reader, writer = os.pipe()
        with tempfile.TemporaryFile() as out:
            stdout = {'file': out, 'pipe': subprocess.PIPE, 'terminal': None}[where]
            with Terminal(command=[PROBE, '--read', '-'], stdin=reader, stdout=stdout, columns=120) as t:
                os.close(reader)
                if where == 'pipe':
                    threading.Thread(target=t.process.stdout.read, daemon=True).start()
                with os.fdopen(writer, 'wb') as f:
                    f.write(stream)
                    f.flush()
                    time.sleep(1.2)  # no progress is shown for a file that is read at once
                    f.write(stream[24:])
                    f.flush()
                    if where != 'pipe':
                        t.wait(lambda s: re.match(r'[1-9]\d* packets?, at \d\d:\d\d:\d\d · \d+ connects?, \d+ opening', s.rows[-1]), 'how far')
                t.status = t.process.wait(30)
                t.reader.join(30)
            expect(t.status == 0 and not any(STATUS.match(row) for row in t.screen.rows), t.screen.text)
            expect(where != 'pipe' or t.output == b'', t.output)
            expect(where != 'terminal' or 'connects' in t.screen.text, t.screen.text)
            out.seek(0)
            expect(b'\x1b' not in out.read(), 'escape sequences in the file')


def test_interrupted_reading():
    """Ctrl-C while a long file is read leaves a clean line"""
    reader, writer = os.pipe()
    with Terminal(command=[PROBE, '--read', '-'], stdin=reader) as t:
        os.close(reader)
        stream = captures.pcap([(captures.START, frame) for _, frame in captures.story()] * 10000)
        with os.fdopen(writer, 'wb') as f:
            f.write(stream)
            f.flush()
            time.sleep(1.2)
            f.write(stream[24:])
            f.flush()
            t.wait(status_is_shown, 'the status line')
            t.type(b'\x03')
            t.status = t.process.wait(30)
            t.reader.join(30)
    expect(t.status == -signal.SIGINT and not any(STATUS.search(row) for row in t.screen.rows), t.screen.text, t.status)
