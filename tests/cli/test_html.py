"""--html: the page as a headless Chromium shows it, compared with the JSON lines of the same run.

pytest's option --keep FOLDER leaves the pages and their screenshots in that folder.
"""
import contextlib
import fcntl
import json
import os
import pty
import random
import re
import shutil
import struct
import subprocess
import tempfile
import termios
import threading
import urllib.parse

import pytest

import captures
from captures import ACK, DEAD, SERVER, START, SYN, SYNACK, pcap
from chromium import Chromium
from probe import PROBE, SECOND, expect
from report_check import noted

MOST_BYTES = 3 << 20  # the limit in report/html.h
SITES = [('198.51.100.%d' % n, 80) for n in range(7, 12)]

keep = None
chromium = None
folder = None


@pytest.fixture(scope='module', autouse=True)
def workplace(request):
    """A folder for captures and pages, and one Chromium, which starts with the first test that shows a page."""
    global keep, chromium, folder
    keep = request.config.getoption('--keep')
    with tempfile.TemporaryDirectory() as folder:
        yield
        if chromium:
            chromium.__exit__()
            chromium = None


# ---- captures ----

def host(number):
    return '10.1.%d.%d' % (4 + number // 200, 20 + number % 200)


def visit(at, wait, client, server=SERVER):
    """Returns a connection whose client sends its request `wait` ns after its handshake."""
    yield at, captures.frame(client, server, SYN, 1000, 0)
    yield at + 12 * 10**6, captures.frame(server, client, SYNACK, 77000, 1001)
    yield at + 13 * 10**6, captures.frame(client, server, ACK, 1001, 77001)
    yield at + 13 * 10**6 + wait, captures.frame(client, server, ACK, 1001, 77001, b'GET')
    yield at + 40 * 10**6 + wait, captures.frame(server, client, ACK, 77001, 1004, b'200')


def silent(at, client, server=DEAD, syns=5):  # as Linux sends them in 5 s
    for i in range(syns):
        yield at + i * SECOND, captures.frame(client, server, SYN, 5, 0)


def refused(at, client, server=('192.0.2.5', 8080)):
    yield at, captures.frame(client, server, SYN, 5, 0)
    yield at + 300000, captures.frame(server, client, 20, 0, 6)


def office(hosts, helped, pages=4, timer=5 * SECOND, start=START):
    """Several hosts open page after page. The hosts in `helped` wait for a silent server before each page."""
    r = random.Random(hosts)
    for n in range(hosts):
        at = start + r.randrange(SECOND)
        for page in range(pages):
            client = (host(n), 2000 + page)
            wait = timer + r.randrange(10**6) if n in helped else r.randrange(10**5, 10**6)
            yield from visit(at, wait, client, r.choice(SITES))
            if n in helped:
                yield from silent(at + 14 * 10**6, (host(n), 3000 + page))
            at += wait + r.randrange(200 * 10**6, SECOND)


def story():
    return list(office(8, {1, 3, 5})) + [p for i in range(4) for p in refused(START + i * SECOND, (host(6), 4000 + i))]


# ---- pages ----

def write(name, packets, *arguments, path=None):
    """Returns the objects of --json, the path of the page of the same run, and the page."""
    capture = path or os.path.join(folder.encode(), b'capture')
    page, lines = os.path.join(folder, name + '.html'), os.path.join(folder, name + '.json')
    with open(capture, 'wb') as f:
        f.write(pcap(sorted(packets, key=lambda p: p[0])))
    done = subprocess.run([PROBE, '-q', '--read', capture, '--html', page, '--json=' + lines, '--force'] + list(arguments),
                          capture_output=True, env=dict(os.environ, TZ='Asia/Kathmandu', LC_ALL='C.UTF-8'))
    expect(done.returncode == 0, done.returncode, done.stderr)
    with open(lines) as f, open(page, encoding='utf-8') as g:
        return [json.loads(line) for line in f], page, g.read()


def show(page, **how):
    """Opens the page in the browser."""
    global chromium
    if not chromium:
        chromium = Chromium().__enter__()
    chromium.open('file://' + urllib.parse.quote(page), **how)
    chromium.settle()
    if keep:
        name = os.path.basename(page)[:-5] + '-%s%s' % (how.get('width', 1280), '-dark' if how.get('dark') else '')
        chromium.screenshot(os.path.join(keep, name + '.png'))
        if page != os.path.join(keep, os.path.basename(page)):
            shutil.copy(page, keep)
    return chromium


def objects_of(page):
    block = re.search(r'<script type="application/x-ndjson" id="objects">\n(.*?)</script>', page, re.S)
    return [json.loads(line) for line in block[1].splitlines()]


def of(objects, kind):
    return [o for o in objects if o['type'] == kind]


def texts(browser, selector):
    found = browser.ask('[...document.querySelectorAll(%s)].map((n) => n.textContent)' % json.dumps(selector))
    return [t.replace('\u00a0', ' ') for t in found]


def labels(browser, selector):
    found = browser.ask('[...document.querySelectorAll(%s)].map((n) => n.closest(".mark").getAttribute("aria-label"))' %
                        json.dumps(selector))
    return [t.replace('\u00a0', ' ') for t in found]


def seconds(ns):
    return '%.3f s' % (ns / SECOND)


# ---- tests ----

def test_same_objects():
    """the page draws exactly the objects that --json writes, and a small run is drawn completely"""
    objects, _, page = write('story', story())
    mine = objects_of(page)
    for kind in ('run', 'host', 'stall', 'peer', 'finding', 'summary'):
        expect(sorted(map(str, of(mine, kind))) == sorted(map(str, of(objects, kind))), kind, of(mine, kind))
        expect(of(mine, kind), 'no object', kind)
    failed = [c for c in of(objects, 'connection') if c['outcome'] != 'established']
    expect(sorted(map(str, of(mine, 'connection'))) == sorted(map(str, failed)), of(mine, 'connection'))
    left = of(mine, 'page')[0]
    expect(not any(list(left['hosts_more'].values()) + [left['findings_more'], left['peers_more']]), left)


def test_story():
    """the page begins with the verdict, the findings and their evidence; the pictures show the same objects"""
    objects, path, _ = write('story', story())
    b = show(path)
    findings, summary = of(objects, 'finding'), of(objects, 'summary')[0]
    expect(findings[0]['kind'] == 'waits-for-peer' and summary['verdict'] == findings[0]['text'], findings[0])
    expect(texts(b, 'h1') == [summary['verdict'] + '.'], texts(b, 'h1'))
    expect(texts(b, '.sentence') == [noted(f) for f in findings], texts(b, '.sentence'))
    for words in [line['text'] for f in findings for line in f['evidence']] + findings[0]['affected']:
        expect(words in texts(b, 'dd, dd li, article .action span'), words)
    action = [line['text'] for line in findings[0]['evidence'] if line['label'] == 'action']
    expect(action and texts(b, 'header .action')[0] == 'What to do: ' + action[0], 'the action is in the head', action)
    expect(findings[0]['confidence'] + ' confidence' in texts(b, 'header .confidence')[0], texts(b, '.confidence'))

    stalls, hosts = of(objects, 'stall'), of(objects, 'host')
    drawn = labels(b, '.overview .mark rect.stall')
    for s in stalls:
        expect(any('stall of ' + seconds(s['wait']) in t and '%s:%d' % (s['client'], s['client_port']) in t
                   for t in drawn), s)
    expect(len(drawn) == len(stalls) == summary['stalls'], drawn)
    vain = [c for c in of(objects, 'connection') if c['server'] == DEAD[0]]
    drawn = labels(b, '.overview .mark path.culprit')
    expect(len(drawn) == len(vain) and all('no answer: 5 SYNs in 4.000 s' in t and '10.200.7.9:5274' in t
                                            for t in drawn), drawn)
    expect(len(labels(b, '.overview .mark path.failed')) == 4, 'refused attempts')
    rows = texts(b, '.overview svg text')
    expect([t for t in rows if t.startswith('10.1.')][:3] == [host(1), host(3), host(5)], 'affected hosts first', rows)
    for h in hosts:
        expect('%d of %d' % (h['stalls'], h['decided']) in rows, h)

    example = findings[0]['example']
    line = b.ask('[...document.querySelectorAll("article figure")][0].textContent').replace('\u00a0', ' ')
    wait = example['first_payload'] - example['ack']
    for words in (seconds(wait) + ' of silence', 'SYNs to 10.200.7.9:5274', 'no answer', 'enlarged'):
        expect(words in line, words, line)
    expect(all('+' + seconds(at - example['ack']) in line for at in example['syn_times'][1:]), line)
    expect(texts(b, 'svg .strong')[1] == seconds(findings[0]['timer']), 'the needle', texts(b, 'svg .strong'))
    b.quiet()


def test_tables():
    """every value in a picture is also in a table"""
    objects, path, _ = write('story', story())
    b = show(path)
    summary = of(objects, 'summary')[0]
    cells = [' | '.join(t.replace('\u00a0', ' ') for t in row) for row in b.ask(
        '[...document.querySelectorAll("figure tbody tr")].map((r) => [...r.cells].map((c) => c.textContent))')]
    for s in of(objects, 'stall'):
        expect(any('%s:%d | %s:%d | %s' % (s['client'], s['client_port'], s['server'], s['server_port'], seconds(s['wait']))
                   in c for c in cells), s)
    for h in of(objects, 'host'):
        row = '%d | %d | %d' % (h['connections'], h['stalls'], h['decided'])
        expect(any(c.startswith(h['host'] + ' | ') and row in c for c in cells), h, cells)
    for c in of(objects, 'connection'):
        if c['outcome'] != 'established':
            expect(any('%s | %s:%d | %d | ' % (c['client'], c['server'], c['server_port'], c['syn_count']) in row
                       for row in cells), c)
    for key in ('wait', 'answer', 'client_round_trip', 'server_round_trip'):
        h = summary['percentiles'][key]
        expect(sum(n for _, _, n in h['buckets']) == h['count'], key, h)
        for _, _, n in h['buckets']:
            expect(any(c.endswith('| %d' % n) for c in cells), key, n)
    shown = b.ask('[...document.querySelectorAll("article figure:has(.threshold) .mark rect:not(.pad)")].length')
    waits = len(summary['percentiles']['wait']['buckets'])
    expect(shown == waits, 'bars for the waits', shown, waits)
    # The page formats durations as the report does.
    words = texts(b, 'pre')[0]
    for p in ('p50', 'p90', 'p99'):
        value = re.search(r'round trip to the servers .*%s (\S+ \S+)' % p, words)[1]
        expect(any(value in c for c in cells if 'servers (round trip' in c), p, value)


def test_time():
    """times of day are in the gateway's time zone, as in the report, wherever the reader is"""
    objects, path, _ = write('story', story())
    b = show(path)
    expect(of(objects, 'run')[0]['utc_offset'] == 20700, of(objects, 'run'))  # Kathmandu: 5:45
    expect('2023-11-15 03:58:20' in texts(b, '.facts')[0] and 'UTC+05:45' in texts(b, '.facts')[0], texts(b, '.facts'))
    clock = re.search(r'example +\S+ . \S+ at (\S+)', texts(b, 'pre')[0])[1]
    expect(clock in b.ask('document.querySelector("article figure details").textContent'), clock)


def test_no_network():
    """the page makes no network request, and its policy forbids one: opening it reveals nothing about its reader"""
    _, path, page = write('story', story())
    b = show(path)
    b.quiet()
    expect("default-src 'none'" in page, 'policy')
    expect(not re.search(r'(src|href)\s*=\s*["\']?(?!#)|url\((?!#|.{0,4}\+)|@import', page.split('<pre')[0]
                         .split('</script>', 1)[1]), 'the page loads something from elsewhere')
    b.ask('document.body.append(Object.assign(new Image(), {src: "http://127.0.0.1:9/x"}), 1)')
    b.ask('document.body.insertAdjacentHTML("beforeend", "<p onclick=alert(1) style=color:red>x")')
    b.settle()
    b.ask('new Promise((done) => setTimeout(done, 200))')
    expect(sum('Content Security Policy' in h for h in b.events) >= 2, 'the policy does not block them', b.events)


def test_hostile_names():
    """markup, control characters, writing direction and broken UTF-8 in names appear as visible text"""
    evil = os.path.join(folder.encode(), b'<x><')
    os.makedirs(evil, exist_ok=True)
    name = b'script><!--<script>alert(1)</script'.replace(b'/', b'') + \
        b'><img src=x onerror=alert(2)>&lt;"\'{{script}}\x1b[31m\xe2\x80\xaegnp.\xff\xc2\x9b\xe2\x80\x8b.pcap'
    objects, path, page = write('hostile', story(), path=os.path.join(evil, name))
    for scripts in (True, False):
        b = show(path, scripts=scripts)
        body = b.ask('document.body.textContent') if scripts else page
        expect(b.ask('document.querySelectorAll("script, img").length') == 2, 'elements', scripts)
        expect('{{script}}' in body, 'the template replaces a part of the name')
        for part in ('‹U+001B›[31m', '‹U+202E›gnp.', '‹U+200B›'):
            expect(part in body, part)
        shown = texts(b, 'h1, title, main')
        expect(not re.search(r'[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]', ''.join(shown)), shown)
        b.quiet()
    b = show(path)
    expect('<x></script><!--' .replace('/', os.sep) in texts(b, '.facts')[0], texts(b, '.facts'))
    expect(of(objects_of(page), 'run') == of(objects, 'run'), 'the objects contain the name unchanged')


def test_many_hosts():
    """with any number of hosts the page stays small and states how much it leaves out"""
    helped = set(range(0, 3000, 2))
    packets = list(office(3000, helped, pages=2))
    for n in range(20):  # hosts that fail very often
        for i in range(200):
            packets += refused(START + (i * 37 + n) * 10**7, (host(n + 1), 5000 + i), ('192.0.2.%d' % (i % 100 + 1), 81))
    objects, path, page = write('many', packets)
    size = os.path.getsize(path)
    expect(size < MOST_BYTES, 'bytes', size)
    mine, summary = objects_of(page), of(objects, 'summary')[0]
    left, shown = of(mine, 'page')[0], of(mine, 'host')
    more = left['hosts_more']
    expect(summary['hosts'] == len(shown) + sum(more.values()) == 3000, left)
    expect(more['stalled'] + sum(h['stalls'] > 0 for h in shown) == 1500, more)
    expect(16 <= sum(not h['stalls'] for h in shown) < 48, 'unaffected hosts are shown as evidence')
    expect(left['peers_more'] + len(of(mine, 'peer')) == len(of(objects, 'peer')), left)
    expect(left['findings_more'] + len(of(mine, 'finding')) == summary['findings'], left)
    addresses = {a for h in shown for a in h['addresses']}
    expect(all(o['client'] in addresses for o in of(mine, 'stall') + of(mine, 'connection')), 'of hidden hosts')
    b = show(path)
    words = ' '.join(texts(b, '.overview svg text'))
    expect('1500 hosts with stalls' in words and 'and %d hosts more' % more['stalled'] in words, words)
    if left['peers_more']:
        expect('and %d peers more' % left['peers_more'] in b.ask('document.body.textContent'), left)
    b.quiet()


def test_largest():
    """a page with all its parts full is not larger than the limit in the manual"""
    packets = list(office(64, set(range(64)), pages=40))
    for n in range(64):
        for i in range(60):
            packets += refused(START + i * SECOND + n, (host(n), 5000 + i), ('192.0.2.%d' % (i + 1), 90))
    _, path, page = write('largest', packets)
    mine = objects_of(page)
    expect(len(of(mine, 'host')) == 48 and len(of(mine, 'connection')) > 1000, len(of(mine, 'connection')))
    expect(1 << 20 < os.path.getsize(path) < MOST_BYTES, os.path.getsize(path))
    show(path).quiet()


def test_long_run():
    """the page of a long run draws the end of the run completely: each stall there has its attempt"""
    packets = []
    for i in range(40):
        packets += office(4, {0, 1}, pages=4, start=START + i * 600 * SECOND)
    objects, path, page = write('long', packets)
    expect(os.path.getsize(path) < MOST_BYTES / 4, os.path.getsize(path))
    mine = objects_of(page)
    left = of(mine, 'page')[0]
    since = max(row['since'] for row in left['rows'])
    expect(since > 0, left)
    for kind, at in (('stall', 'start'), ('connection', 'syn')):
        whole = [o for o in of(objects, kind) if o[at] >= since and o.get('outcome') != 'established']
        expect(len(whole) >= 40 and all(o in of(mine, kind) for o in whole), kind, len(whole))
    b = show(path)
    expect(re.search(r'The last .* of 6 h 30 min are drawn', texts(b, '.overview .answer')[0]), texts(b, '.overview .answer'))
    b.quiet()


def opened(at, client, server=SERVER):
    """Returns a handshake without any data after it."""
    return list(visit(at, 0, client, server))[:3]


def test_open_wait():
    """a connection that still waits at the end is drawn, and does not displace other connections of its host"""
    packets = list(office(4, {1})) + opened(START + SECOND, (host(6), 7000)) + list(silent(START, (host(6), 5000), syns=3))
    packets += opened(START + 2 * SECOND, (host(1), 7001))
    objects, path, page = write('open', packets)
    mine, addresses = objects_of(page), {host(1), host(6)}
    waits = [s for s in of(objects, 'stall') if not s['ended']]
    expect({s['client'] for s in waits} == addresses and len(waits) == 2, waits)
    expect(sorted(map(str, of(mine, 'stall'))) == sorted(map(str, of(objects, 'stall'))), of(mine, 'stall'))
    failed = [c for c in of(objects, 'connection') if c['outcome'] == 'unanswered']
    expect({c['client'] for c in failed} == addresses, failed)
    expect(sorted(map(str, of(mine, 'connection'))) == sorted(map(str, failed)), of(mine, 'connection'))
    expect(not any(row['since'] for row in of(mine, 'page')[0]['rows']), of(mine, 'page'))
    b = show(path)
    drawn = labels(b, '.overview .mark rect.undecided')
    expect(len(drawn) == 2 and all('still so at the end' in t for t in drawn), drawn)
    expect(any(t.startswith(host(6)) and 'waiting for ' in t and host(6) + ':7000' in t for t in drawn), drawn)
    drawn = labels(b, '.overview .mark path')
    expect(sum(t.startswith(host(6)) and 'no answer: 3 SYNs in 2.000 s' in t for t in drawn) == 1, drawn)
    expect(not labels(b, '.overview .mark rect.unknown'), 'shown as truncated')
    expect(any('still waiting at the end' in t for t in texts(b, '.overview .legend li')), texts(b, '.overview .legend'))
    b.quiet()


def test_open_wait_alone():
    """if a run has only open connections, the page draws them and reports no failure"""
    packets = list(office(4, set())) + opened(START, (host(2), 7000))
    objects, path, page = write('alone', packets)
    expect([s['ended'] for s in of(objects_of(page), 'stall')] == [False], of(objects, 'stall'))
    b = show(path)
    expect(texts(b, '.overview h2') == ['Who waited, and when?'], texts(b, '.overview h2'))
    expect(len(labels(b, '.overview .mark rect.undecided')) == 1, 'the open wait')
    expect(any(t == '1 host with late or failed connects or open waits' for t in texts(b, '.overview svg text')), 'its group')
    b.quiet()


def test_truncated():
    """the page reports when a host has more stalls or open waits than it can draw"""
    packets = list(office(2, {0}, pages=40))
    for i in range(20):
        packets += opened(START + i * SECOND, (host(0), 7000 + i))
    objects, path, page = write('truncated', packets)
    mine = objects_of(page)
    since = of(mine, 'page')[0]['rows'][0]['since']
    ended, shown = ([s for s in of(o, 'stall') if s['ended']] for o in (objects, mine))
    last = sorted(s['start'] for s in ended)[-32]
    expect(len(ended) == 40 and last <= since <= last + SECOND, since, last)
    expect(sorted(map(str, shown)) == sorted(str(s) for s in ended if s['start'] >= since) != [], shown)
    waits = sorted(s['start'] for s in of(objects, 'stall') if not s['ended'])
    expect(len(waits) == 20 and sorted(s['start'] for s in of(mine, 'stall') if not s['ended']) == waits[-16:], waits)
    b = show(path)
    expect(texts(b, '.overview .answer')[0].count('The last ') == 1, texts(b, '.overview .answer'))
    expect(any('(4 more are not drawn)' in t for t in texts(b, '.overview .legend li')), texts(b, '.overview .legend li'))
    expect(len(labels(b, '.overview .mark rect.undecided')) == 16, 'open waits that began before the drawn period')
    b.quiet()


def test_well():
    """the page of a run without problems states that, and draws no empty picture"""
    objects, path, _ = write('well', office(6, set(), pages=3))
    b = show(path)
    expect(not of(objects, 'stall') and texts(b, 'h1')[0] == of(objects, 'summary')[0]['verdict'] + '.', texts(b, 'h1'))
    expect(texts(b, '.overview h2') == ['Who connected, and when?'], texts(b, '.overview h2'))
    expect(len(texts(b, ':not(.ledger) > figure')) == 3, texts(b, 'figure h3'))
    expect('None of them waited 1 s.' in texts(b, 'main')[0], 'the longest wait')
    b.quiet()
    _, path, _ = write('nothing', [(START, captures.frame((host(1), 5), SERVER, ACK, 5, 5, b'x'))])
    b = show(path)
    expect(texts(b, 'h1') == ['nothing can be said: no new connection was seen.'], texts(b, 'h1'))
    expect(not texts(b, 'figure'), texts(b, 'figure'))
    b.quiet()


LEDGER = {'connects': 44, 'in_time': 36, 'late': 2, 'failed': 3, 'cancelled': 1, 'undecided': 1, 'unseen': 1, 'rows': [
    {'row': 'in_time', 'stage': 'answer', 'how': 'none', 'count': 36}, {'row': 'late', 'stage': 'answer', 'how': 'slow', 'count': 2},
    {'row': 'failed', 'stage': 'connect', 'how': 'one_syn', 'count': 2},
    {'row': 'failed', 'stage': 'answer', 'how': 'never', 'count': 1}]}


def test_ledger():
    """the page shows state, headline and ledger of the summary, and does without them"""
    _, path, page = write('ledger', story())
    state = {'state': 'failures', 'verdict': '3 of 44 connects failed <b>', 'ledger': LEDGER}
    changed = os.path.join(folder, 'changed.html')

    def with_summary(**more):
        def change(found):
            o = json.loads(found[0])
            without = {k: v for k, v in o.items() if k not in ('state', 'ledger')}
            return json.dumps({**without, **more}).replace('<', '\\u003c')
        with open(changed, 'w', encoding='utf-8') as f:
            f.write(re.sub(r'^{"type":"summary".*$', change, page, flags=re.M))
        return show(changed)

    b = with_summary(**state)
    expect(texts(b, 'h1') == ['3 of 44 connects failed <b>.'], texts(b, 'h1'))
    expect(texts(b, '.state') == ['▲ failures, and no cause stands out'], texts(b, '.state'))
    expect(not texts(b, 'header .confidence'), 'the confidence of a finding beside a headline that is none')
    expect(texts(b, '.ledger .answer') == ['44 connects: 36 served in time, 2 served late, 3 failed, 1 cancelled by the '
                                           'client, 1 undecided at the end, 1 not seen whole.'], texts(b, '.ledger .answer'))
    marks = labels(b, '.ledger .mark rect')
    expect('3 connects failed, 2 × connect, one syn, 1 × answer, never' in marks, marks)
    expect(len(texts(b, '.ledger tbody tr')) == 7, texts(b, '.ledger tbody tr'))
    b.quiet()
    for more in ({}, {'state': 'fine'}, {'state': 'strange', 'ledger': {'connects': 0}}, {'ledger': {'connects': 1, 'in_time': 1}}):
        b = with_summary(**more)
        expect(len(texts(b, '.ledger')) == ('in_time' in str(more)), more)
        expect(len(texts(b, '.state')) == (more.get('state') == 'fine'), more)
        b.quiet()


def test_formats():
    """durations and times of day read as in the text report, with the date in a run that crosses midnight"""
    _, path, _ = write('formats', list(visit(START, SECOND, (host(1), 2000))) +
                       list(visit(START + 86400 * SECOND, 2 * SECOND, (host(2), 2000))))
    b = show(path)
    for ns, words in ((None, ''), (0, '0 µs'), (800, '800 ns'), (1000, '1 µs'), (1234, '1.23 µs'), (26000, '26 µs'),
                      (136700, '137 µs'), (999600, '1.00 ms'), (9996000, '10.0 ms'), (38140000, '38.1 ms'),
                      (999499999, '999 ms'), (999600000, '1.000 s'), (5003000000, '5.003 s'), (59999600000, '1 min 0 s'),
                      (119600000000, '2 min 0 s'), (3599600000000, '1 h 0 min'), (-1500000, '-1.50 ms')):
        expect(b.ask('duration(%s)' % json.dumps(ns)) == words, ns, words, b.ask('duration(%s)' % json.dumps(ns)))
    expect('2023-11-15 03:58:20 to 11-16 03:58:2' in texts(b, '.facts')[0], texts(b, '.facts'))
    drawn = labels(b, '.overview .mark rect.stall')
    expect(len(drawn) == 2 and 'from 11-15 03:58:20.' in drawn[0] and 'from 11-16 03:58:20.' in drawn[1], drawn)
    b.quiet()


def test_slow_helper():
    """waits that end with an answer are not attributed to a timer"""
    r = random.Random(2)
    helper, packets = ('192.0.2.9', 443), list(office(6, set()))
    for n in (1, 3, 5):
        for i in range(5):
            at, wait = START + (10 + 6 * i) * SECOND + n * 10**8, r.randrange(1500 * 10**6, 4 * SECOND)
            packets += visit(at, wait, (host(n), 6000 + i), SITES[i])
            asked = (host(n), 7000 + i)
            packets += [(at + 14 * 10**6, captures.frame(asked, helper, SYN, 1, 0)),
                        (at + 15 * 10**6, captures.frame(helper, asked, SYNACK, 1, 2)),
                        (at + 16 * 10**6, captures.frame(asked, helper, ACK, 2, 2, b'?')),
                        (at + 12 * 10**6 + wait, captures.frame(helper, asked, ACK, 2, 3, b'!'))]
    objects, path, _ = write('slow', packets)
    finding = of(objects, 'finding')[0]
    expect(finding['kind'] == 'slow-helper', finding)
    b = show(path)
    seen = ' '.join(texts(b, 'article'))
    expect('needle' not in seen and 'as long as 192.0.2.9:443 took to answer' in seen, seen)
    expect('which came to an end 1.00 ms before' in seen, seen)
    b.quiet()


def test_slow_server():
    """a server that is slow has opened: the page does not name it as one at which attempts failed"""
    slow, packets = ('192.0.2.80', 80), list(office(8, {1, 3, 5}))
    for n in range(8):
        for at, frame in visit(START + n * SECOND, 10**6, (host(n), 6000), slow):
            packets.append((at + (3 * SECOND if frame.endswith(b'200') else 0), frame))
    objects, path, _ = write('slow-server', packets)
    finding = [f for f in of(objects, 'finding') if f['kind'] == 'slow-server']
    expect(finding and finding[0]['locked'] == 8, of(objects, 'finding'))
    b = show(path)
    legend = [t for t in texts(b, '.overview .legend li') if 'that failed' in t]
    expect(legend == ['attempt at %s:%d that failed' % DEAD], legend)
    b.quiet()


def test_labels():
    """labels of timers that lie close together are not printed over each other, on any screen"""
    packets = [p for n, timer in enumerate((24, 27, 30))
               for at in range(4)
               for i in (3 * n, 3 * n + 1, 3 * n + 2)
               for p in visit(START + at * 40 * SECOND + i * 10**8, timer * SECOND, (host(i), 2000 + at), SITES[at % 2])]
    objects, path, _ = write('labels', packets)
    timers = [f for f in of(objects, 'finding') if f['timer']]
    expect(len(timers) == 3, of(objects, 'finding'))
    for width in (1280, 420):
        b = show(path, width=width)
        boxes = b.ask("""[...document.querySelectorAll('figure svg')].map((s) =>
            ['strong', 'small'].map((c) => [...s.querySelectorAll(':scope > text.' + c)].map((t) => t.getBoundingClientRect())
                .map(({ left, right, top, bottom }) => [left, right, top, bottom]))).flat()""")
        for group in boxes:
            for i, (left, right, top, bottom) in enumerate(group):
                expect(not any(left < r and l < right and top < u and o < bottom for l, r, o, u in group[:i]), width, group)
    expect(len([t for t in texts(show(path), 'svg .strong') if '(' in t]) == 3, 'each timer has a label')
    b.quiet()


OVERLAPS = """[...document.querySelectorAll('.plot svg')].flatMap((s) => {
    const boxes = [...s.querySelectorAll('text')].filter((t) => t.textContent)
        .map((t) => [t.getBoundingClientRect(), t.textContent]);
    const apart = (a, b) => a.right <= b.left + 0.5 || b.right <= a.left + 0.5 || a.bottom <= b.top + 2 ||
        b.bottom <= a.top + 2;
    const all = s.getBoundingClientRect();
    return boxes.flatMap(([a, words], i) => [
        ...boxes.slice(0, i).filter(([b]) => !apart(a, b)).map(([, other]) => words + ' / ' + other),
        ...(a.left < all.left - 1 || a.right > all.right + 1 ? ['cut off: ' + words] : [])]);
})"""


def slow_server():
    """Returns packets: eight hosts wait 3 s for the answers of one of two servers."""
    packets = []
    for n in range(40):
        server = (('192.0.2.80', 80), SERVER)[n // 8 % 2]
        for at, frame in visit(START + n * SECOND // 4, 10**6, (host(n % 8), 6000 + n), server):
            packets.append((at + (3 * SECOND if server != SERVER and frame.endswith(b'200') else 0), frame))
    return packets


def unreachable():
    """Returns packets: six hosts get no answer from two servers, and a refusal from a third, and are served by others."""
    packets = list(office(8, set()))
    for n in range(6):
        for i in range(4):
            at = START + i * 3 * SECOND + n * 10**8
            packets += list(silent(at, (host(n), 5000 + i), ('192.0.2.%d' % (9 + i % 2), 443), syns=3))
            packets += list(refused(at, (host(n), 5100 + i)))
    return packets


def many_hosts():
    return [p for n in range(120) for p in office(1, set(), pages=2, start=START + n * 10**8)] + \
        [p for n in range(400) for p in visit(START + n * 10**7, (n % 3) * SECOND, (host(n), 7000), SITES[n % 5])]


REPORTS = {'story': story, 'slow-server': slow_server, 'unreachable': unreachable, 'well': lambda: office(6, set(), pages=3),
           'many-hosts': many_hosts}


def test_labels_apart():
    """no label of any picture lies on another one or leaves it, on a phone, a window, a wide screen and paper"""
    REPORTS['names'] = dead_resolver
    for name, packets in REPORTS.items():
        _, path, _ = write(name, packets())
        for width in (390, 900, 1600):
            b = show(path, width=width)
            found = b.ask(OVERLAPS)
            expect(not found, name, width, found)
            expect(b.ask('document.querySelectorAll(".plot text").length') > 10, name, 'no labels')
            b.quiet()
        b.ask('dispatchEvent(new Event("beforeprint"))')
        b.medium('print')
        expect(not b.ask(OVERLAPS), name, 'paper', b.ask(OVERLAPS))


def test_columns():
    """on a phone, a wide table scrolls by itself: each column can be reached, and no address is broken"""
    _, path, _ = write('columns', unreachable())
    b = show(path, width=390)
    b.ask('document.querySelectorAll("details").forEach((d) => { d.open = true; })')
    hidden = b.ask("""[...document.querySelectorAll('.scroll')].filter((s) => {
        s.scrollLeft = s.scrollWidth;
        const last = s.querySelector('tr').lastElementChild.getBoundingClientRect(), frame = s.getBoundingClientRect();
        return last.right > frame.right + 1 || frame.right > innerWidth;
    }).map((s) => s.getAttribute('aria-label'))""")
    expect(not hidden, hidden)
    broken = b.ask("""[...document.querySelectorAll('td')].filter((t) => /^\\d+\\.\\d+\\.\\d+\\.[\\d:]+$/.test(t.textContent))
        .filter((t) => { const r = document.createRange(); r.selectNodeContents(t);
            return r.getBoundingClientRect().height > 30; }).map((t) => t.textContent)""")
    expect(not broken, 'addresses on several lines', broken[:5])
    b.quiet()


def test_narrow_heading():
    """on a phone, the numbers at the end of each row of the overview have a heading"""
    for name, words in (('story', 'stalled'), ('unreachable', 'late or failed'), ('well', 'in time')):
        _, path, _ = write(name, REPORTS[name]())
        b = show(path, width=390)
        expect(words in texts(b, '.overview svg text.axis'), name, texts(b, '.overview svg text.axis'))
        b.quiet()


def test_prompt():
    """healthy hosts look alive: each of their connects is a tick, in the overview and beside the failures of a server"""
    objects, path, page = write('prompt', story())
    rows = of(objects_of(page), 'page')[0]['rows']
    expect(all(row['ledger']['in_time'] == len(row['prompt']) for row in rows), rows)
    served = of(objects, 'summary')[0]['ledger']
    expect(sum(row['ledger']['in_time'] for row in rows) == served['in_time'] > 0, served)
    b = show(path)
    ticks = labels(b, '.overview .mark path.prompt')
    expect(any(t.startswith(host(0) + ': 4 connects served in time') for t in ticks), ticks)
    expect('connect served in time' in texts(b, '.overview .legend li'), texts(b, '.overview .legend li'))
    b.quiet()


def test_slow_server_picture():
    """a server that answers late has a picture of who waited for it, without columns of stalls"""
    objects, path, _ = write('slow-picture', slow_server())
    finding = of(objects, 'finding')[0]
    expect(finding['kind'] == 'slow-server', finding)
    b = show(path)
    bars = labels(b, 'article .mark rect.late')
    late = of(objects, 'summary')[0]['ledger']['late']
    expect(len(bars) == late > 8 and all('served late: 3.0' in t and 'until the first answer' in t for t in bars), late, bars)
    expect('8 hosts waited for 192.0.2.80:80' in texts(b, 'article svg text'), texts(b, 'article svg text'))
    expect(not [t for t in texts(b, 'svg text') if t in ('stalled', 'longest wait')], 'columns of stalls')
    expect(texts(b, '.overview h2') == ['Whose connects failed or were late, and when?'], texts(b, '.overview h2'))
    b.quiet()


def test_failures_picture():
    """a picture of failures counts failed connects, not stalls, and shows the hosts in the same order as the overview"""
    objects, path, _ = write('failures-picture', unreachable())
    expect(of(objects, 'summary')[0]['stalls'] == 0 and of(objects, 'finding'), of(objects, 'finding'))
    b = show(path)
    words = texts(b, '.overview svg text')
    expect('late or failed' in words and 'stalled' not in words and 'longest wait' not in words, words)
    orders = b.ask("""[...document.querySelectorAll('.overview svg, article figure svg')].map((s) =>
        [...s.querySelectorAll('text')].map((t) => t.textContent).filter((t) => t.startsWith('10.1.')))""")
    for order in orders:
        common = [h for h in orders[0] if h in order]
        expect([h for h in order if h in common] == common, order, orders[0])
    b.quiet()


def test_too_early():
    """an attempt that the end of the run cut off is not counted or drawn as a failed one"""
    packets = unreachable()
    end = max(at for at, _ in packets)
    packets += list(silent(end - SECOND, (host(7), 5900), ('192.0.2.9', 443), syns=2))
    objects, path, _ = write('early', packets)
    peer = next(p for p in of(objects, 'peer') if p['server'] == '192.0.2.9')
    expect(peer['too_early'] == 1 and peer['unanswered'] == 12, peer)
    b = show(path)
    said = [t for t in texts(b, 'article .answer') if '192.0.2.9:443' in t]
    expect(said == ['12 failed attempts at 192.0.2.9:443, by 6 hosts.'], said)
    drawn = [t for t in labels(b, '.overview .mark path.early') if '192.0.2.9:443' in t]
    expect(len(drawn) == 1 and 'too early to say' in drawn[0], drawn)
    expect('2 hosts with neither' in texts(b, '.overview svg text'), texts(b, '.overview svg text'))
    b.quiet()


def test_contrast():
    """what distinguishes the hosts that are hit is drawn beside those that are not"""
    _, path, page = write('contrast', story())
    changed = os.path.join(folder, 'traits.html')
    common = {'comparisons': 4, 'hosts_bad': 5, 'hosts_good': 12, 'spread': [], 'same': [], 'common': [
        {'trait': 'vlan', 'value': '20<b>' + 60 * 'x', 'unit': 'host', 'bad_with': 5, 'bad': 5, 'good_with': 1, 'good': 12, 'p': 1e-3}]}

    def compare(found):
        return json.dumps({**json.loads(found[0]), 'contrast': common}).replace('<', '\\u003c')
    with open(changed, 'w', encoding='utf-8') as f:
        f.write(re.sub(r'^{"type":"finding".*$', compare, page, count=1, flags=re.M))
    for width in (390, 1280):
        b = show(changed, width=width)
        marks = labels(b, 'article .mark rect.culprit')
        expect(any(t.startswith('hosts with vlan 20<b>') and t.endswith('5 of 6 hit') for t in marks), marks)
        expect('other hosts, 0 of 11 hit' in marks, marks)
        expect(not b.ask(OVERLAPS), b.ask(OVERLAPS))
        b.quiet()


def test_confidence():
    """a finding below high confidence says why, and the page explains each level in print, too"""
    _, path, page = write('confidence', story())
    changed = os.path.join(folder, 'reason.html')

    def lower(found):
        o = json.loads(found[0])
        return json.dumps({**o, 'confidence': 'medium', 'confidence_reason': 'only <b>two</b> coincidences'}).replace('<', '\\u003c')
    with open(changed, 'w', encoding='utf-8') as f:
        f.write(re.sub(r'^{"type":"finding".*$', lower, page, flags=re.M))
    b = show(changed)
    expect(texts(b, 'header .confidence')[0].endswith('medium confidence: only <b>two</b> coincidences'),
           texts(b, 'header .confidence'))
    expect(any(t.startswith('Confidence. Medium: ') for t in texts(b, '.notes')), texts(b, '.notes'))
    b.quiet()


def test_notices():
    """what befell the interface during the run is in the head and on the time axis of the hosts"""
    _, path, page = write('notices', unreachable())
    changed = os.path.join(folder, 'noticed.html')
    notices = ''.join(json.dumps({'type': 'notice', 'time': at * SECOND, 'text': 'eth0 went %s' % how}) + '\n'
                      for at, how in ((4, 'down'), (6, 'up')))
    with open(changed, 'w', encoding='utf-8') as f:
        f.write(page.replace('{"type":"page"', notices + '{"type":"page"', 1))
    b = show(changed)
    expect(texts(b, '.warnings li') == ['03:58:24  eth0 went down', '03:58:26  eth0 went up'], texts(b, '.warnings li'))
    marks = labels(b, '.overview .mark path.notice')
    expect(marks == ['eth0 went down, at 03:58:24.123', 'eth0 went up, at 03:58:26.123'], marks)
    expect(not b.ask(OVERLAPS), b.ask(OVERLAPS))
    b.quiet()


def test_gateway():
    """the page of a live run names its gateway in title and head; that of a capture names the file, and no machine"""
    _, path, page = write('gateway', story())
    expect(re.search(r'<title>probe: capture, 2023-11-15 03:58 UTC\+05:45</title>', page), page[:1500])
    expect(of(objects_of(page), 'page')[0]['gateway'] is None, 'the name of the reader’s machine')
    named = os.path.join(folder, 'named.html')
    with open(named, 'w', encoding='utf-8') as f:
        page = page.replace('"gateway":null', '"gateway":"gw-\\u003cb>"')
        f.write(re.sub(r'"iface":null,"file":"[^"]*"', '"iface":"eth0","file":null', page, count=1))
    b = show(named)
    expect(texts(b, '.facts li')[0] == 'watched on eth0 of gw-<b>', texts(b, '.facts li'))
    expect(texts(b, '.kicker')[0].endswith('gateway gw-<b>'), texts(b, '.kicker'))
    b.quiet()


def test_counts():
    """the sentence of a picture counts what it draws, and says how much there is beside it"""
    packets = [p for n in range(20) for i in range(2 + 38 * (n == 0)) for p in refused(START + (37 * i + n) * 10**8,
                                                                                      (host(n), 5000 + i))]
    objects, path, _ = write('counts', packets)
    peer = of(objects, 'peer')[0]
    expect(peer['refused'] == 78, peer)
    b = show(path)
    said = [t for t in texts(b, 'article .answer') if 'failed attempt' in t]
    drawn = len(labels(b, 'article .mark path.culprit'))
    expect(said == ['%d of 78 failed attempts at 192.0.2.5:8080 are drawn, by 12 of 20 hosts.' % drawn] and drawn < 78, said, drawn)
    b.quiet()


def test_pointer():
    """pointing at a mark shows its numbers beside it, within the window"""
    _, path, _ = write('story', story())
    for width in (400, 1280):
        b = show(path, width=width)
        for selector in ('.overview .mark rect.stall', '.overview .mark path.culprit', 'article .mark .fine'):
            b.ask('document.querySelector("%s").scrollIntoView({block: "center"})' % selector)
            b.settle()
            x, y = b.ask('(() => { const r = document.querySelector("%s").getBoundingClientRect(); '
                         'return [r.left + r.width / 2, r.top + r.height / 2]; })()' % selector)
            b.point(x, y)
            b.settle()
            label = b.ask('document.querySelector("%s").closest(".mark").getAttribute("aria-label")' % selector)
            words, left, right = b.ask('(() => { const t = document.getElementById("tip"), r = t.getBoundingClientRect(); '
                                       'return [t.hidden ? "" : [...t.children].map((n) => n.textContent).join(", "), '
                                       'r.left, r.right]; })()')
            expect(words.replace('\u00a0', ' ') == label and 0 <= left < right <= width, selector, words, label, left, right)
        b.point(1, 1)
        b.settle()
        expect(b.ask('document.getElementById("tip").hidden'), 'the numbers stay after the pointer has left')
        b.quiet()


def test_keyboard():
    """the keyboard reaches each mark, shows its numbers, and is never trapped"""
    _, path, _ = write('story', story())
    b = show(path)
    plots = b.ask('document.querySelectorAll(".plot svg").length')
    stops = b.ask('[...document.querySelectorAll(".plot .mark[tabindex=\\"0\\"]")].length')
    expect(plots == stops >= 4, 'one tab stop for each picture', plots, stops)
    b.press('Tab')
    focus = 'document.activeElement.getAttribute("aria-label")'
    expect('served in time' in b.ask(focus), 'the first stop is in the ledger', b.ask(focus))
    b.press('Tab')  # its figures
    b.press('Tab')
    first = b.ask(focus)
    expect(first and first.startswith(host(1)), 'the next stop is the first host’s first mark', first)
    expect(b.ask('!document.getElementById("tip").hidden'), 'focus shows the numbers')
    seen = {first}
    for _ in range(500):
        b.press('ArrowRight')
        if b.ask(focus) in seen and len(seen) > 1:
            break
        seen.add(b.ask(focus))
    marks = b.ask('[...document.querySelectorAll(".overview .mark")].map((m) => m.getAttribute("aria-label"))')
    expect(seen == set(marks), 'not reached', set(marks) - seen)
    b.press('End')
    b.settle()
    expect(b.ask('(() => { const t = document.getElementById("tip"), r = t.getBoundingClientRect(); '
                 'return !t.hidden && r.top >= 0 && r.bottom <= innerHeight; })()'), 'the numbers of the last mark')
    b.press('Home')
    expect(b.ask(focus) == first, b.ask(focus))
    b.press('ArrowDown')
    expect(b.ask(focus).startswith(host(3)), 'the row below', b.ask(focus))
    b.press('Escape')
    expect(b.ask('document.getElementById("tip").hidden'), 'Escape hides them')
    passed = []
    for _ in range(60):
        b.press('Tab')
        passed.append(b.ask('document.activeElement.closest(".plot, details, pre, a")?.className ?? document.activeElement.tagName'))
    expect(passed.count('plot') >= plots - 1 and 'BODY' in passed, 'Tab does not reach the end of the page', passed)
    b.quiet()


def test_screen_reader():
    """a screen reader finds headings in order, a name for each picture, and headers for each table"""
    _, path, _ = write('story', story())
    b = show(path)
    levels = [int(t[1]) for t in b.ask('[...document.querySelectorAll("h1, h2, h3, h4")].map((h) => h.tagName)')]
    expect(levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:])), levels)
    ids = b.ask('[...document.querySelectorAll("[id]")].map((n) => n.id)')
    expect(len(ids) == len(set(ids)), 'an id occurs twice', ids)
    unnamed = b.ask('[...document.querySelectorAll("[aria-labelledby]")].filter((n) => '
                    '!document.getElementById(n.getAttribute("aria-labelledby"))?.textContent).length')
    expect(unnamed == 0, unnamed)
    expect(b.ask('[...document.querySelectorAll("svg")].every((s) => s.getAttribute("aria-hidden") || '
                 's.getAttribute("aria-label"))'), 'a picture without a name')
    expect(b.ask('[...document.querySelectorAll("table")].every((t) => t.caption && t.tHead)'), 'tables')
    expect(b.ask('document.documentElement.lang') == 'en', 'language')


CONTRAST = '''(() => {
    const lum = (c) => c.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const style = getComputedStyle(document.documentElement);
    const of = (name) => lum(style.getPropertyValue(name).trim().slice(1).match(/../g).map((h) => parseInt(h, 16)));
    const ratio = (a, b) => (Math.max(of(a), of(b)) + 0.05) / (Math.min(of(a), of(b)) + 0.05);
    return {text: Math.min(...['--ink', '--soft', '--peer'].flatMap((c) => ['--paper', '--tint', '--hurt'].map((p) => ratio(c, p)))),
        marks: Math.min(...['--stall', '--peer', '--fine', '--soft'].flatMap((c) => ['--paper', '--hurt'].map((p) => ratio(c, p)))),
        paper: of('--paper')};
})()'''


def test_light_dark_print():
    """the page is readable in light, in dark and in print (WCAG 2.1: contrast 4.5 for text, 3 for marks)"""
    _, path, _ = write('story', story())
    papers = []
    for dark in (False, True):
        b = show(path, dark=dark)
        contrast = b.ask(CONTRAST)
        expect(contrast['text'] >= 4.5 and contrast['marks'] >= 3, dark, contrast)
        papers.append(contrast['paper'])
    expect(papers[0] > 0.9 and papers[1] < 0.1, papers)
    b.medium('print', dark=True)
    expect(b.ask(CONTRAST)['paper'] > 0.9, 'black paper')
    expect(b.ask('[...document.querySelectorAll("details")].every((d) => !d.getClientRects().length)'),
           'closed tables in print')
    b.medium('', dark=True)
    pdf = b.pdf()
    pages = len(re.findall(rb'/Type\s*/Page\b', pdf))
    expect(pdf.startswith(b'%PDF') and 1 < pages < 12, pages)
    if keep:
        with open(os.path.join(keep, 'story.pdf'), 'wb') as f:
            f.write(pdf)
    b.settle()
    expect(b.ask('document.querySelector(".plot svg").getAttribute("width") > 700'),
           'the screen keeps the paper’s width')
    b.quiet()


def test_widths():
    """on a narrow and on a wide screen nothing is cut off, and nothing needs horizontal scrolling"""
    _, path, _ = write('story', story())
    for width in (320, 400, 768, 1280, 2560):
        b = show(path, width=width)
        expect(b.ask('document.scrollingElement.scrollWidth') <= width, width)
        out = b.ask('[...document.querySelectorAll(".plot text")].filter((t) => { const r = t.getBoundingClientRect(); '
                    'return r.left < -1 || r.right > innerWidth + 1; }).map((t) => t.textContent)')
        expect(not out, width, out)
        b.quiet()


def dead_resolver():
    """Returns packets: two of four hosts ask a silent resolver first, and another one 5 s later."""
    dead, packets = ('10.200.7.53', 53), []
    for n in range(20):
        client, at = '10.1.4.%d' % (21 + n % 4), START + n * 2 * SECOND
        name, server = b'n%d.example' % n, ('203.0.113.%d' % (10 + n), 80)
        if n % 2:
            packets += captures.lookup(at, client, name, number=10 * n + 1, resolver=dead)
            at += 5 * SECOND
        packets += captures.lookup(at, client, name, server[0], number=10 * n + 5)
        packets += captures.connection(at + 2 * 10**6, 10**6, (client, 51000 + n), server, isn=1000 * n)
    return sorted(packets)


def test_names():
    """a finding about names draws the questions and the SYN that waited; the head says how many names are shown"""
    objects, path, page = write('names', dead_resolver())
    finding = next(f for f in of(objects, 'finding') if f['kind'] == 'resolver-unanswered')
    expect(finding['example'] and finding['example']['asks_name'], finding)
    name = finding['example']['server']['name']
    b = show(path)
    expect(any('10.200.7.53 for a name (1 question), which did not answer' in t and '(%s) came 5.00' % name in t
               for t in texts(b, '.answer')), texts(b, '.answer'))
    expect('questions to 10.200.7.53' in texts(b, '.plot text'), texts(b, '.plot text'))
    expect('1 name of DNS shown' in texts(b, '.facts li'), texts(b, '.facts li'))
    cells = texts(b, 'section[aria-labelledby=network] td')
    row = cells[cells.index('10.200.7.53'):][:4]
    expect(row == ['10.200.7.53', '10', '0', '10'], 'the table of resolvers', cells)
    for width in (320, 390, 1280):
        b = show(path, width=width)
        expect(b.ask('document.scrollingElement.scrollWidth') <= width, width)
        b.quiet()
    _, path, page = write('numbers', dead_resolver(), '-n')
    expect(name not in re.sub('<script>.*', '', page, flags=re.S), 'a name with -n')
    expect('no name of DNS shown' in texts(show(path), '.facts li'), '-n')
    _, path, _ = write('hidden', dead_resolver(), '--names', 'none')
    expect('names of DNS are hidden' in texts(show(path), '.facts li'), '--names none')


def test_without_scripts():
    """without scripts, as in many mail programs, the verdict and the whole report are readable as text"""
    objects, path, _ = write('story', story())
    b = show(path, scripts=False)
    expect(b.ask('document.querySelector("h1").innerText') == of(objects, 'summary')[0]['verdict'] + '.', 'verdict')
    seen = b.ask('document.body.innerText')
    for f in of(objects, 'finding'):
        expect(noted(f) in seen, noted(f))
    for words in ('STALLS', 'PEERS THAT FAIL', 'HOSTS', 'THE NETWORK', 'Fisher', '±', '→') + tuple(host(n) for n in range(8)):
        expect(words in seen, words, seen)
    expect('"type":' not in seen and '{' not in seen, 'input of the script is visible')

    # The report in the page has the width of a mail, whatever the width of the run's terminal.
    terminal, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack('HHHH', 50, 200, 0, 0))
    reader = threading.Thread(target=drain, args=(terminal,))
    reader.start()
    subprocess.run([PROBE, '--read', os.path.join(folder, 'capture'), '--html', path, '--force'], stdin=subprocess.DEVNULL,
                   stdout=other, stderr=other, check=True, env=dict(os.environ, LC_ALL='C.UTF-8', TERM='xterm'))
    os.close(other)
    reader.join()
    os.close(terminal)
    lines = texts(show(path), 'pre')[0].splitlines()
    expect(60 < max(map(len, lines)) < 100 and '\x1b' not in ''.join(lines), max(lines, key=len))


def drain(terminal):
    with contextlib.suppress(OSError):
        while os.read(terminal, 65536):
            pass


def test_cut():
    """a page that is cut anywhere in its body says so, with and without scripts, and a whole page does not"""
    _, _, page = write('story', story())
    path = os.path.join(folder, 'cut.html')
    notice = 'getComputedStyle(document.body, "::before").display'
    begin = page.index('<body>')
    for part in (0.01, 0.3, 0.6, 0.9, 0.99, 1):
        size = begin + len('<body>') + int(part * (len(page) - begin - len('<body>')))
        size = min(size, page.index('<style>body::before') if part < 1 else size)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(page[:size])
        for scripts in (True, False):
            b = show(path, scripts=scripts)
            expect((b.ask(notice) == 'none') == (part == 1), part, scripts, b.ask(notice))


def test_failures():
    """a page that cannot be written is an error, reported before the run where possible"""
    capture = os.path.join(folder, 'capture')
    with open(capture, 'wb') as f:
        f.write(pcap(sorted(story())))

    def run(*arguments):
        return subprocess.run([PROBE, '-q', '--read', capture] + list(arguments), capture_output=True)

    done = run('--html', '/nowhere/page.html')
    expect(done.returncode == 1 and b'cannot write /nowhere/page.html: No such file' in done.stderr and not done.stdout,
           done.stderr)
    done = run('--html', '/dev/full')
    expect(done.returncode == 1 and b'could not write all of the report to /dev/full' in done.stderr and
           b'10.200.7.9:5274' in done.stdout, done.stderr)
    done = run('--html', capture)
    expect(done.returncode == 1 and b'would overwrite' in done.stderr, done.stderr)
    same = os.path.join(folder, 'same')
    done = run('--html', same, '--write', same)
    expect(done.returncode == 1 and b'would overwrite' in done.stderr, done.stderr)
    for wrong in ('', '-'):
        expect(run('--html', wrong).returncode == 2, wrong)
    old = os.path.join(folder, 'old.html')
    with open(old, 'w') as f:
        f.write('precious')
    subprocess.run([PROBE, '--read', '/nowhere/x', '--html', old, '--force'], capture_output=True)
    with open(old) as f:
        expect(f.read() == 'precious', 'a run that cannot start has emptied the page')
