"""Names of DNS and of services in the reports, as --names and -n allow them.

If this fails, a report that is passed on tells who visits what, although --names should have prevented that; or an
engineer sees only numbers where a name was needed; or a report says that all is well although nobody got an answer.
"""
import json
import os
import re

import pytest

import report_check
from captures import RESOLVER, START, SYN, Files, connection, frame, lookup, of, pcap, read, run
from probe import ROOT, SECOND, expect

MS = 10**6
LDAP = ('10.200.7.9', 636)
WEB = ('203.0.113.5', 80)
SECRET = ('203.0.113.77', 80)
HOSTILE = b'\x1b]0;x\x07</script><b>"\xe2\x80\xae\n'


def visit(at, client, port, name, server, wait=MS, number=1, took=MS):
    """Yields a lookup, and the connection that waits for it."""
    yield from lookup(at, client, name, server[0], number, took)
    yield from connection(at + took + MS, wait, (client, port), server, isn=1000 * port)


def incident():
    """Three hosts look up a directory server that does not answer, and visit a server that does."""
    packets = []
    for n in range(1, 4):
        client, at = '10.1.4.%d' % n, START + n * SECOND
        packets += visit(at, client, 50001, b'www.private.example', SECRET, number=100 * n)
        packets += lookup(at + SECOND, client, b'ldap.corp.example', LDAP[0], number=100 * n + 9)
        for i, after in enumerate((0, 1, 3)):
            packets.append((at + SECOND + 3 * MS + after * SECOND, frame((client, 60001), LDAP, SYN, 5, 0, ip_id=20 + i)))
    packets += connection(START + 20 * SECOND, MS, ('10.1.4.1', 50009), WEB)
    return sorted(packets)


def outputs(*arguments, packets=None, snap=65535):
    """Returns text, JSON lines and page of a run."""
    with Files() as files:
        path = files.add('capture', pcap(packets if packets is not None else incident(), snap=snap))
        text = run('-v', '-r', path, *arguments).stdout.decode()
        lines = read('-r', path, *arguments)
        page = os.path.join(os.path.dirname(path), 'page.html')
        expect(run('-q', '-r', path, '--html', page, *arguments).returncode == 0, 'no page')
        with open(page, encoding='utf-8') as f:
            shown = f.read()
        os.unlink(page)
    return text, lines, shown


def wrapped(text):
    return ' '.join(text.split())


def page_objects(page):
    block = re.search(r'<script type="application/x-ndjson" id="objects">\n(.*?)</script>', page, re.S)
    return [json.loads(line) for line in block[1].splitlines()]


def peer_of(lines):
    return next(f['peer'] for f in of(lines, 'finding') if f['peer'] and f['peer']['address'] == LDAP[0])


ldaps = pytest.mark.skipif(not os.path.exists('/etc/services') or not re.search(r'^ldaps\s+636/tcp',
                           open('/etc/services').read(), re.M), reason='needs /etc/services')


@ldaps
def test_evidence():
    """by default a finding calls its peer by name and service, once, and no other name leaves the process"""
    text, lines, page = outputs()
    expect(wrapped(text).count('%s:%d (ldaps, ldap.corp.example) ' % LDAP) == 1, text)
    expect('10.200.7.9:636 (ldaps) failed 3 clients' in wrapped(text), 'the table', text)
    expect(peer_of(lines)['name'] == 'ldap.corp.example' and peer_of(lines)['service'] == 'ldaps', peer_of(lines))
    expect(lines[0]['names'] == 'evidence' and lines[-1]['names']['in_findings'] == 1, lines[0], lines[-1]['names'])
    expect(not any('name' in c for c in of(lines, 'connection')), 'a name in a connection')
    expect('%s:%d (ldaps, ldap.corp.example) does not' % LDAP in page, 'the headline of the page')
    expect(of(page_objects(page), 'page')[0]['names'] == {'mode': 'evidence', 'count': 1}, 'the head of the page')
    for what in (text, json.dumps(lines), page):
        expect('private' not in what, 'a name that no finding needs', what)


def test_none():
    """with --names none no name leaves the process, and the diagnosis is the same"""
    text, lines, page = outputs('--names', 'none')
    for what in (text, json.dumps(lines), page):
        expect('corp' not in what and 'private' not in what, 'a name', what)
    _, others, _ = outputs()
    expect([f['text'] for f in of(lines, 'finding')] == [f['text'] for f in of(others, 'finding')], 'other findings')
    expect(all(f['contrast'] is None and not {'in common', 'spread', 'cannot tell'} & {e['label'] for e in f['evidence']}
               for f in of(lines, 'finding')), 'properties of hosts', of(lines, 'finding'))
    expect(lines[0]['names'] == 'none' and peer_of(lines)['name'] is None, lines[0], peer_of(lines))
    expect(of(page_objects(page), 'page')[0]['names'] == {'mode': 'none', 'count': 0}, 'the head of the page')


def test_all():
    """with --names all each connection has the name that its client had asked for"""
    _, lines, page = outputs('--names', 'all')
    names = {(c['server'], c['name']) for c in of(lines, 'connection')}
    expect(names == {(LDAP[0], 'ldap.corp.example'), (SECRET[0], 'www.private.example'), (WEB[0], None)}, names)
    expect(of(page_objects(page), 'page')[0]['names'] == {'mode': 'all', 'count': 1}, 'its failed connections')
    waits = {c['server']: c['name_wait'] for c in of(lines, 'connection')}
    expect(waits[SECRET[0]] == 2 * MS and waits[LDAP[0]] == 3 * MS and waits[WEB[0]] is None, waits)


def test_numeric():
    """-n hides names and services on screen and page; JSON lines are the same"""
    for option in ('-n', '-nn'):
        text, lines, page = outputs(option, '--names', 'all')
        expect('%s:%d does not' % LDAP in text and not re.search('ldap|http\\)|corp|private', text), option, text)
        shown = re.sub(r'<script>.*', '', page, flags=re.S)
        expect(not re.search('ldap|corp|private', shown), option, shown)
        expect(peer_of(lines)['name'] == 'ldap.corp.example', 'JSON', peer_of(lines))


def test_hostile_names():
    """a name of DNS cannot move the cursor, forge a line, or run a script in the page"""
    packets = []
    for n in range(1, 4):
        at, client = START + n * SECOND, '10.1.4.%d' % n
        packets += lookup(at, client, [HOSTILE, b'example'], LDAP[0], number=9 * n)
        for i, after in enumerate((0, 1, 3)):
            packets.append((at + 3 * MS + after * SECOND, frame((client, 60001), LDAP, SYN, 5, 0, ip_id=20 + i)))
    for mode in ('evidence', 'all'):
        text, lines, page = outputs('--names', mode, packets=sorted(packets))
        expect('\\027\\0930' in text and '\\010' in text, mode, text)
        expect(not re.search('[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]', text), mode, text)
        expect('\\027' in peer_of(lines)['name'], peer_of(lines))
        expect(page.count('</script') == 2 and '\u202e' not in page and '\x1b' not in page, mode)


def test_long_name():
    """a name of 255 bytes leaves room for the sentence: its first label and its zone are shown"""
    name = b'.'.join([b'a' * 63, b'b' * 63, b'c' * 63, b'd' * 40, b'corp', b'example'])
    packets = list(lookup(START, '10.1.4.1', name, LDAP[0]))
    for i, after in enumerate((0, 1, 3)):
        packets.append((START + 3 * MS + after * SECOND, frame(('10.1.4.1', 60001), LDAP, SYN, 5, 0, ip_id=20 + i)))
    text, lines, _ = outputs(packets=sorted(packets))
    short = peer_of(lines)['name']
    expect(len(short) < 100 and short.startswith('aaaa') and short.endswith('d.corp.example'), short)
    expect(re.search(r'does not\s+answer', text), text)


def test_many_names():
    """an address with one further name shows the latest and +1; one with many, as at a CDN, shows none of them"""
    for count, wanted in ((2, 'n1.example +1'), (9, 'many names')):
        packets = []
        for n in range(count):
            packets += lookup(START + n * 10 * MS, '10.1.4.1', b'n%d.example' % n, LDAP[0], number=n + 1)
        for i, after in enumerate((0, 1, 3)):
            packets.append((START + SECOND + after * SECOND, frame(('10.1.4.1', 60001), LDAP, SYN, 5, 0, ip_id=20 + i)))
        _, lines, _ = outputs(packets=sorted(packets))
        expect(peer_of(lines)['name'] == wanted, count, peer_of(lines))


def test_cut_names():
    """a capture whose snap length cuts names off says so once"""
    packets = [(at, data[:60]) for at, data in incident()]
    with Files() as files:
        path = files.add('capture', pcap(incident(), snap=60))
        done = run('-r', path).stdout.decode()
    expect(packets and wrapped(done).count('DNS packets: snap length') == 1, done)
    expect(re.search(r'names are cut off in 12 of 12 DNS packets', wrapped(done)), done)


def test_network_section():
    """the network section begins with name, TCP and answer, and says for how many hosts no name was seen"""
    packets = [p for n in range(12) for p in visit(START + n * SECOND, '10.1.4.1', 50000 + n, b'h%d.example' % n,
                                                  ('203.0.113.%d' % (10 + n), 80), number=n + 1)]
    other = b'\x02\0\0\0\0\x05'  # another MAC is another host
    packets += [(at, data[:6] + other + data[12:]) for at, data in
                connection(START + 20 * SECOND, MS, ('10.1.4.2', 50009), WEB)]
    text, lines, _ = outputs(packets=sorted(packets))
    section = wrapped(text[text.index('THE NETWORK'):])
    expect(section.startswith('THE NETWORK until the first answer, by medians: name 1.00 ms, TCP 10.0 ms, answer'), section)
    expect('12 lookups, the longest answered one 1.00 ms' in section, section)
    expect('names: not seen for 1 of 2 hosts' in section, section)
    expect('1 of 13 connects (8 %) went to addresses that no answer seen here named' in section, section)
    expect(lines[-1]['state'] == 'fine' and 'not seen for 1 of 2 hosts' in lines[-1]['verdict'], lines[-1]['verdict'])
    expect(lines[-1]['percentiles']['name']['count'] == 12, lines[-1]['percentiles']['name'])
    expect(re.search(r'^  %s +12 +12 +0 +1\.00 ms +1$' % re.escape(RESOLVER[0]), text, re.M), 'the resolver', text)
    row = lines[-1]['names']['resolvers'][0]
    expect((row['lookups'], row['answered'], row['median'], row['hosts']) == (12, 12, MS, 1), row)


def test_unanswered_is_not_fine():
    """if a client got no answer about a name at all, no report says that all was well"""
    packets = list(visit(START, '10.1.4.1', 50001, b'www.example', WEB))
    packets += lookup(START + SECOND, '10.1.4.1', b'gone.example', number=50, asked=(0, 5))
    packets += connection(START + 30 * SECOND, MS, ('10.1.4.1', 50009), WEB, isn=77)
    text, lines, _ = outputs(packets=sorted(packets))
    expect(lines[-1]['state'] in ('failures', 'problem'), lines[-1]['state'], text)
    local = [(at, data.replace(b'\x04gone\x07example', b'\x06gone-x\x05local')) for at, data in packets]
    _, lines, _ = outputs(packets=sorted(local))
    expect(lines[-1]['state'] == 'fine', 'nobody expects an answer about names of mDNS', lines[-1]['verdict'])


def acquittal(took):
    """Returns the finding that clears the network of a client's long pause, or None."""
    packets = []
    for n in range(30):
        packets += visit(START + n * SECOND, '10.1.4.%d' % (1 + n % 3), 50000 + n, b'h%d.example' % n,
                         ('203.0.113.%d' % (10 + n), 80), number=n + 1, took=took)
    packets += visit(START + 40 * SECOND, '10.1.4.1', 50100, b'late.example', WEB, wait=2500 * MS, number=300)
    _, lines, _ = outputs(packets=sorted(packets))
    return next(iter((f for f in of(lines, 'finding') if f['kind'] == 'not-the-network')), None)


def test_acquittal_needs_prompt_names():
    """the network is cleared only if names were prompt, and the finding says how prompt"""
    clear = acquittal(MS)
    lines = [line['text'] for line in clear['evidence']] if clear else []
    expect('names p50 1.00 ms p99 1.00 ms, of 31 lookups' in lines, lines)
    expect('QUIC and other UDP were not looked at' in lines, lines)
    expect(not acquittal(700 * MS), 'names took 0.7 s')


def test_names_are_documented():
    """the manual says what is read of DNS and what a report contains"""
    with open(os.path.join(ROOT, 'user', 'man', 'probe.8')) as f:
        security = f.read().split('.Sh SECURITY')[1].split('.Sh ')[0]
    for words in ('Names of DNS', '512 bytes', 'Fl -names', 'never asks for a name', '/etc/services'):
        expect(words in security, words)
    report_check.expect_clean(security)
