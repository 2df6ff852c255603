"""--write: the file of evidence as tshark and the probe itself read it."""
import os
import signal
import struct
import subprocess

import pytest

import captures
import netns
import schema
from captures import ACK, CLIENT, DEAD, SERVER, START, SYN, SYNACK, Files, connection, of, pcap, read, run, story, times
from probe import PROBE, ROOT, SECOND, expect, wait_for

CAPTURES = os.path.join(ROOT, '..', 'shared', 'captures', 'pcaps')


def tshark(path, *fields, wanted='frame'):
    """Returns a list of strings for each frame, after checking that tshark reports no error."""
    words = [word for field in fields for word in ('-e', field)]
    done = subprocess.run(['tshark', '-r', path, '-Y', wanted, '-T', 'fields', '-E', 'separator=|'] + words,
                          capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if 'Running as user' not in line]
    expect(done.returncode == 0 and not complaints, path, complaints)
    return [line.split('|') for line in done.stdout.splitlines()]


def write(files, packets, *arguments, status=0, **format):
    """Returns the probe's objects and the path of the evidence."""
    out = os.path.join(files.folder.name, 'evidence.pcapng')
    return read('--read', files.add('in', pcap(packets, **format)), '--write', out, '--force', *arguments, status=status), out


def test_comments():
    """each packet of evidence has a comment with its reason, and the file has one with the findings"""
    with Files() as files:
        _, path = write(files, story())
        rows = tshark(path, 'frame.time_epoch', 'frame.comment')
        want = {0: '', 2: 'handshake done; 5.000 s of silence begin here',
                3: 'no answer to this SYN: finding 1', 6: '5.000 s of silence end here: first client byte'}
        for i, words in want.items():
            expect(rows[i][1] == words, i, rows)
        expect([int(t.replace('.', '')) for t, _ in rows] == [t for t, _ in story()], 'times', rows)
        about = subprocess.run(['capinfos', path], capture_output=True, text=True).stdout
        for words in ('2 connects, 1 stalled, 1 not answered', '1: 10.200.7.9:5274 does not answer: ',
                      'probe ', 'nanoseconds (9)', 'Number of packets:   8'):
            expect(words in about, words, about)


def test_deltas():
    """the delta that Wireshark shows equals the wait in the report, to the nanosecond"""
    with Files() as files:
        objects, path = write(files, story())
        wait = of(objects, 'connection', server=SERVER[0])[0]['wait']
        rows = tshark(path, 'frame.time_epoch', wanted='tcp.port == 80')
        at = [int(t.replace('.', '')) for t, in rows]
        expect(at[3] - at[2] == wait == 5 * SECOND + 3, at, wait)


def test_what_is_kept():
    """the file has every decisive packet of a failure or stall, and nothing of connections without a problem"""
    fine = sorted(list(connection(START, 10**6, ('10.1.4.30', 1111))) + [])
    with Files() as files:
        _, path = write(files, fine)
        expect(not tshark(path, 'frame.number'), 'packets of a connection without a problem')
        _, path = write(files, sorted(fine + story(START + 50)))
        expect(len(tshark(path, 'frame.number')) == 8, 'not those 8')
        rst = [(START, captures.frame(CLIENT, SERVER, SYN, 9, 0)), (START + 5, captures.frame(SERVER, CLIENT, 20, 0, 10))]
        _, path = write(files, rst)
        expect(tshark(path, 'frame.comment')[1][0].startswith('refused by the server'), 'RST', tshark(path, 'frame.comment'))


def test_slow_helper():
    """an attempt that a stalled client waited for is in the file, even if it succeeded in the end"""
    helper = ('192.0.2.9', 443)
    asked = [(START + 11 * 10**6 + 500, captures.frame((CLIENT[0], 6000), helper, SYN, 1, 0)),
             (START + 12 * 10**6, captures.frame(helper, (CLIENT[0], 6000), SYNACK, 1, 2)),
             (START + 13 * 10**6, captures.frame((CLIENT[0], 6000), helper, ACK, 2, 2, b'?')),
             (START + 5 * SECOND, captures.frame(helper, (CLIENT[0], 6000), ACK, 2, 3, b'!'))]
    other = [(t, f) for t, f in connection(START + 20 * 10**6, 10**6, (CLIENT[0], 6001), ('192.0.2.10', 443))]
    with Files() as files:
        _, path = write(files, sorted(list(connection(START, 5 * SECOND)) + asked + other))
        rows = tshark(path, 'tcp.srcport', 'tcp.dstport', 'frame.comment')
        helper = [row for row in rows if '443' in row[:2]]
        expect(len(helper) == 4 and len(rows) == 9, rows)
        expect(helper[3][2].startswith('answered 4.989 s after the first SYN; 11.0 ms later the silence of 10.1.4.23:51544 '
                                     'towards 198.51.100.7:80 ends'), helper)


def test_snap():
    """the file contains payload only on request"""
    with Files() as files:
        _, path = write(files, story())
        expect(all(n == '54' for n, in tshark(path, 'frame.cap_len')), tshark(path, 'frame.cap_len'))
        expect(tshark(path, 'frame.len')[6] == ['57'], 'length on the wire')
        with open(path, 'rb') as f:
            expect(b'GET' not in f.read(), 'payload')
        _, path = write(files, story(), '--snap', '2000')
        expect(tshark(path, 'tcp.payload')[6] == ['474554'], tshark(path, 'tcp.payload'))
        for wrong in ('0', '19', '5000', '60k', '-1'):
            done = run('-r', path, '-w', '/dev/null', '--snap', wrong)
            expect(done.returncode == 2 and b'--snap ' + wrong.encode() in done.stderr, wrong, done.stderr)


def dead_resolver():
    """6 hosts ask a resolver that is silent, and after 5 s another one that answers; then they connect."""
    answering, packets = ('10.1.0.54', 53), []
    for i in range(18):
        client, at, name = '10.1.4.%d' % (1 + i % 6), START + i * 7 * SECOND, b'www%d.example' % i
        packets += captures.lookup(at, client, name)
        packets += captures.lookup(at + 5 * SECOND, client, name, SERVER[0], number=2, resolver=answering)
        packets += connection(at + 5 * SECOND + 2 * 10**6, 10**6, (client, 50000 + i))
        packets += captures.lookup(at + SECOND, '10.1.5.%d' % (i % 6), name, SERVER[0], resolver=answering)
    return sorted(packets)


def test_dns():
    """with --snap, the file has the questions that a finding explains, with their answers, and no others"""
    with Files() as files:
        objects, path = write(files, dead_resolver(), '--snap', '600')
        kinds = [f['kind'] for f in of(objects, 'finding')]
        expect(kinds[:1] == ['resolver-unanswered'], kinds)
        rows = tshark(path, 'ip.src', 'ip.dst', 'dns.qry.name', 'frame.comment', wanted='dns')
        expect(len(rows) == 3 * 18, len(rows), 'packets of 18 lookups with two questions and one answer')
        expect(not any(row[i].startswith('10.1.5.') for row in rows for i in (0, 1)), 'packets of prompt lookups')
        expect([row[2:] for row in rows[:3]] == [
            ['www0.example', 'question 1 of 2 of this lookup: not answered: finding 1'],
            ['www0.example', 'question 2 of 2 of this lookup: answered after 1.00 ms: finding 1'],
            ['www0.example', 'answer to question 2 of 2, 5.001 s after the first question: finding 1']], rows[:3])
        _, path = write(files, dead_resolver())
        expect(not tshark(path, 'frame.number', wanted='udp'), 'DNS without --snap')
        with open(path, 'rb') as f:
            expect(b'www0' not in f.read(), 'a name without --snap')


def test_icmp():
    """an ICMP error is in the file with the headers that it quotes, and the comment explains it"""
    syn = captures.frame(CLIENT, DEAD, SYN, 9, 0)
    quoted = syn[14:] + b'secret' * 20
    icmp = struct.pack('>BBHI', 3, 1, 0, 0) + quoted
    ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(icmp), 1, 0, 64, 1, 0, b'\x0a\x01\x04\x01', b'\x0a\x01\x04\x17')
    with Files() as files:
        _, path = write(files, [(START, syn), (START + 4 * SECOND, syn[:12] + b'\x08\0' + ip + icmp)])
        rows = tshark(path, 'frame.cap_len', 'frame.comment', '_ws.malformed')
        expect(rows[1][::2] == [str(14 + 20 + 8 + 40), ''] and
               rows[1][1].startswith('host unreachable, reported by 10.1.4.1'), rows)


def test_links():
    """the file contains the bytes of the capture, including the link header"""
    cooked = b'\0\0\0\x01\0\x06' + b'\x02' * 8 + b'\x08\0'
    with Files() as files:
        for link, head, name in ((113, cooked, 'Linux cooked-mode capture v1'), (101, b'', 'Raw IP'), (12, b'', 'Raw IP'),
                                 (0, b'\x02\0\0\0', 'NULL/Loopback')):
            objects, path = write(files, story(), link=link, head=head)
            about = subprocess.run(['capinfos', '-E', path], capture_output=True, text=True).stdout
            expect(name.lower() in about.lower(), link, about)
            expect(times(read('--read', path)) == times(objects), link)


def test_failures():
    """a full disk and a closed pipe are reported, and the report is printed anyway"""
    with Files() as files:
        source = files.add('in', pcap(story()))
        done = run('--read', source, '--write', '/dev/full')
        expect(done.returncode == 1 and b'could not write all' in done.stderr and b'No space left' in done.stderr,
               done.stderr)
        expect(b'10.200.7.9:5274' in done.stdout, done.stdout)
        pipe = os.path.join(files.folder.name, 'pipe')
        os.mkfifo(pipe)
        reader = subprocess.Popen(['sh', '-c', 'exec <"$0"', pipe])
        with subprocess.Popen([PROBE, '--read', '-', '--write', pipe], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as process:
            reader.wait()
            _, errors = process.communicate(pcap(story()))
        expect(process.returncode == 1 and b'Broken pipe' in errors, process.returncode, errors)
        done = run('--read', source, '--write', '/nowhere/x')
        expect(done.returncode == 1 and b'cannot write /nowhere/x' in done.stderr and not done.stdout, done.stderr)
        for arguments in (('--write', source), ('--json=' + source,), ('--write', source + 'x', '--json=' + source + 'x')):
            done = run('--read', source, *arguments)
            expect(done.returncode == 1 and b'would overwrite' in done.stderr, arguments, done.stderr)
        with open(source, 'rb') as f:
            expect(f.read() == pcap(story()), 'the capture was destroyed')
        old = files.add('old', b'precious')
        done = run('--read', '/nowhere/y', '--write', old, '--force')
        with open(old, 'rb') as f:
            expect(f.read() == b'precious', 'a run that cannot start has emptied the file')


# ---- existing files, links and pipes at the path of an output ----

OUTPUTS = ('--json=', '--html=', '--write=')
NOBODY = 65534


def written(source, path, *arguments, **how):
    """Tries every kind of output on that path. Returns the finished processes."""
    return [subprocess.run([PROBE, '--read', source, kind + path] + list(arguments), capture_output=True, **how)
            for kind in OUTPUTS]


def refused(done, words, path):
    for d in done:
        expect(d.returncode == 1 and not d.stdout and d.stderr.count(b'\n') == 1, d)
        expect(('cannot write %s: ' % path).encode() in d.stderr and words in d.stderr, words, d.stderr)


def content(path):
    with open(path, 'rb') as f:
        return f.read()


def test_no_clobbering():
    """a typo destroys no file: only --force replaces a file that has content"""
    with Files() as files:
        source, old = files.add('in', pcap(story())), files.add('old', b'precious')
        refused(written(source, old), b'it exists; --force', old)
        expect(content(old) == b'precious', content(old))
        for kind in OUTPUTS:
            expect(run('--read', source, kind + old, '--force').returncode == 0, kind)
            expect(b'precious' not in content(old) and len(content(old)) > 100, kind)
            # The new content is shorter: nothing of the old content may remain.
            with open(old, 'ab') as f:
                f.write(b'precious' * 100000)
            expect(run('--read', source, kind + old, '--force').returncode == 0, kind)
            expect(b'precious' not in content(old), kind)
            empty = files.add('empty', b'')
            expect(run('--read', source, kind + empty).returncode == 0 and content(empty), 'as of mktemp', kind)


@pytest.mark.skipif(os.geteuid() != 0, reason='the files of other users, which root must not follow, take root to make')
def test_traps():
    """root writes nothing through a path that another user prepared: link, hard link, file, pipe, folder"""
    with Files() as files:
        folder = files.folder.name
        source, target = files.add('in', pcap(story())), files.add('shadow', b'root:secret')
        link, dangling, absent = (os.path.join(folder, name) for name in ('link', 'dangling', 'absent'))
        os.symlink(target, link)
        os.symlink(absent, dangling)
        hard = os.path.join(folder, 'hard')
        os.link(target, hard)
        pipe = os.path.join(folder, 'pipe')
        os.mkfifo(pipe)
        theirs, empty = files.add('theirs', b'theirs'), files.add('empty', b'')
        for path in (pipe, theirs, empty):
            os.chown(path, NOBODY, NOBODY)
        for path, words in ((link, b'symbolic link'), (dangling, b'symbolic link'), (hard, b'hard links'),
                            (pipe, b'belongs to user 65534'), (theirs, b'belongs to user 65534'),
                            (empty, b'belongs to user 65534'), (folder, b'directory')):
            refused(written(source, path, '--force'), words, path)
        expect(content(target) == b'root:secret' and not os.path.exists(absent), 'a link was followed')
        expect(content(theirs) == b'theirs' and content(empty) == b'', 'a file of another user was written')
        # The user who calls sudo may own the file.
        for done in written(source, theirs, '--force', env=dict(os.environ, SUDO_UID=str(NOBODY))):
            expect(done.returncode == 0, done.stderr)
        expect(content(theirs) != b'theirs', 'not written')


def test_streams():
    """pipes, devices and inherited descriptors work as outputs: >(command), /dev/stdout, /dev/null"""
    with Files() as files:
        source, out = files.add('in', pcap(story())), files.add('out', b'before\n')
        for done in written(source, '/dev/null'):
            expect(done.returncode == 0, done.stderr)
        script = 'exec "$0" --quiet --read "$1" --json=%s'
        for name in ('/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'):
            with open(out, 'ab') as f:
                subprocess.run(['bash', '-c', script % name, PROBE, source], stdout=f, check=True)
            expect(content(out).startswith(b'before\n') and b'"summary"' in content(out), name, content(out)[:200])
        subprocess.run(['bash', '-c', script % '>(cat >"$2"; echo >"$2.done")' + ' >/dev/null', PROBE, source, out], check=True)
        wait_for(lambda: os.path.exists(out + '.done'), 'the reader of the pipe')
        lines = schema.load(content(out).decode())
        expect(lines[-1]['type'] == 'summary', lines)
        pipe = os.path.join(files.folder.name, 'pipe')
        os.mkfifo(pipe)
        with subprocess.Popen(['cat', pipe], stdout=subprocess.PIPE) as reader:
            done = run('--read', source, '--write=' + pipe)
            expect(done.returncode == 0 and reader.stdout.read()[:4] == b'\x0a\x0d\x0d\x0a', done.stderr)


def test_never_began():
    """an invalid capture leaves no empty output file, although the process can no longer remove files"""
    with Files() as files:
        folder = files.folder.name
        outputs = [kind + os.path.join(folder, 'out%d' % i) for i, kind in enumerate(OUTPUTS)]
        sources = [files.add('none', pcap([])), files.add('text', b'GET / HTTP/1.0\r\n' * 9),
                   files.add('wifi', pcap(story(), link=105))]
        there = sorted(os.listdir(folder))
        for source in sources:
            done = run('--read', source, *outputs)
            expect(done.returncode == 1 and done.stderr.count(b'\n') == 1, done.stderr)
            expect(sorted(os.listdir(folder)) == there, source, os.listdir(folder))
        for how in (signal.SIGINT, signal.SIGKILL):
            with subprocess.Popen([PROBE, '--read', '-'] + outputs, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as p:
                netns.confined(p.pid)
                p.send_signal(how)
                p.wait(30)
                wait_for(lambda: sorted(os.listdir(folder)) == there, 'the removal')


def test_rights():
    """a capture is read without any privilege, even by root: a forged capture gains nothing from a defect"""
    with subprocess.Popen([PROBE, '--verbose', '--read', '-'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as p:
        # No byte of the capture has arrived yet.
        status = netns.confined(p.pid)
        for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
            expect(int(status[name], 16) == 0, name, status[name])
        text, errors = p.communicate(pcap(story()))
        expect(p.returncode == 0 and b'10.200.7.9:5274' in text and b'privileges kept: none' in errors, errors)


def test_round_trip():
    """reading the evidence of a capture gives the same stalls and failures as the capture"""
    compared = 0
    if not os.path.isdir(CAPTURES):
        pytest.skip('this checkout does not contain the captures')
    with Files() as files:
        out = os.path.join(files.folder.name, 'evidence.pcapng')
        for name in sorted(os.listdir(CAPTURES)):
            source = os.path.join(CAPTURES, name)
            done = run('--json', '--read', source, '--write', out, '--force', '--snap', '4096')
            if not done.stdout:
                continue

            whole = schema.load(done.stdout.decode())
            again = run('--json', '--read', out)
            evidence = schema.load(again.stdout.decode())
            expect(again.returncode == 0 or b'holds no packet' in again.stderr, name, again.stderr)

            def story_of(objects):
                # The capture may begin earlier and end later than its evidence.
                keys = ('client', 'client_port', 'server', 'server_port', 'outcome', 'wait', 'banner')
                return {tuple(c[k] for k in keys) + tuple(c[k] - c['syn'] for k in ('ack', 'client_first') if c[k])
                        for c in of(objects, 'connection')}

            stalled = [c for c in of(whole, 'connection') if (c['wait'] or 0) >= SECOND or (c['banner'] or 0) >= SECOND]
            failed = [c for c in of(whole, 'connection', outcome='refused')]
            want = story_of(stalled + failed)
            expect(want <= story_of(evidence), name, want - story_of(evidence))
            compared += len(want)
    print('      %d stalled and refused connections of the captures compared' % compared)
    expect(compared > 50, compared)
