"""Checks both demos: which clients stall, for how long, and which peer or zone does not answer."""
import json
import os
import subprocess
import tempfile

import netns
import schema
from probe import ROOT, SECOND, expect


def check_evidence(path, lines):
    """Wireshark shows each stall with the same length as the report, and the finding to which it belongs."""
    r = subprocess.run(['tshark', '-r', path, '-T', 'fields', '-E', 'separator=|', '-e', 'frame.time_epoch', '-e',
                        'tcp.stream', '-e', 'frame.comment'], capture_output=True, text=True, check=True)
    began, waits, silent, explained = {}, [], 0, 0
    for line in r.stdout.splitlines():
        at, stream, comment = line.split('|')
        at = int(at.replace('.', ''))
        if 'of silence begin here' in comment:
            began[stream] = at
        elif 'of silence end here: first client byte' in comment:
            explained += comment.endswith(': finding 1')
            waits.append(at - began[stream])
        silent += comment == 'no answer to this SYN: finding 1'
    expect(sorted(waits) == sorted(o['wait'] for o in lines if o['type'] == 'stall'), waits)
    expect(explained > len(waits) / 2, 'stalls that finding 1 explains', explained, len(waits))
    expect(silent == sum(o['failed_syns'] for o in lines if o['type'] == 'peer'), silent)


def check_page(path, lines):
    """The page of the live run shows the same findings, in text and in the objects behind its pictures."""
    with open(path, encoding='utf-8') as f:
        page = f.read()
    finding = next(o for o in lines if o['type'] == 'finding')
    expect('<h1><bdi>%s</bdi>.</h1>' % finding['text'] in page and '10.200.7.9:5274' in finding['text'], finding)
    mine = [json.loads(line) for line in page.split('id="objects">\n')[1].split('</script>')[0].splitlines()]
    for kind in ('run', 'host', 'stall', 'peer', 'finding', 'summary'):
        expect(sorted(map(str, (o for o in mine if o['type'] == kind))) ==
               sorted(map(str, (o for o in lines if o['type'] == kind))), kind)


def test_story():
    """the demo names 10.200.7.9:5274 and shows the 5 s stalls of exactly the clients with the helper"""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, 'demo.json')
        evidence = os.path.join(folder, 'demo.pcapng')
        page = os.path.join(folder, 'demo.html')
        r = subprocess.run([os.path.join(ROOT, 'scripts', 'demo'), '--json=' + out, '--write', evidence, '--html', page],
                           capture_output=True, text=True, cwd=folder)
        expect(r.returncode == 0, r.stdout, r.stderr)
        with open(out) as f:
            lines = schema.load(f)
        check_evidence(evidence, lines)
        check_page(page, lines)
    print(r.stdout, end='')
    helped = {netns.CLIENT4 % n for n in range(21, 33, 2)}
    hosts = {o['host']: o for o in lines if o['type'] == 'host'}
    expect(len(hosts) == 12, 'hosts', sorted(hosts))
    expect({name for name, h in hosts.items() if h['stalls']} == helped, 'who stalled', hosts)
    for name in helped:
        h = hosts[name]
        expect(h['stalls'] == h['decided'], 'the helper delays every connection', h)
    for name in set(hosts) - helped:
        expect(hosts[name]['decided'] > 0 and hosts[name]['worst_wait'] < SECOND, hosts[name])
    stalls = [o for o in lines if o['type'] == 'stall']
    expect(len(stalls) >= 12, 'stalls', len(stalls))
    for s in stalls:
        # The helper's timer sets the wait: a slow machine makes it longer, never shorter.
        expect(s['ended'] and s['wait'] >= 4.99 * SECOND, s)
    waits = sorted(s['wait'] for s in stalls)
    expect(waits[len(waits) // 2] < 2 * waits[0], 'the waits have one length', waits)
    peers = [o for o in lines if o['type'] == 'peer']
    expect([(p['server'], p['server_port']) for p in peers] == [('10.200.7.9', 5274)], 'failing peers', peers)
    p = peers[0]
    expect(p['unanswered'] == len(stalls) and p['answered'] == 0 and set(p['clients']) == helped, p)
    expect(p['cohort'] == {'tried': 6, 'tried_stalled': 6, 'others': 6, 'others_stalled': 0}, p)
    expect(lines[-1]['lost']['sum'] == 0, lines[-1])
    expect('10.200.7.9:5274' in r.stdout and 'no answer' in r.stdout, r.stdout)


def test_dns():
    """demo dns names the zone for which exactly the hosts with the helper wait, and accuses no host beside them"""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, 'demo.json')
        r = subprocess.run([os.path.join(ROOT, 'scripts', 'demo'), 'dns', '--json=' + out],
                           capture_output=True, text=True, cwd=folder)
        expect(r.returncode == 0, r.stdout, r.stderr)
        with open(out) as f:
            lines = schema.load(f)
    print(r.stdout, end='')
    helped = {netns.CLIENT4 % n for n in range(21, 33, 2)}
    stalls = [o for o in lines if o['type'] == 'stall']
    expect(len(stalls) >= 12, 'stalls', len(stalls))
    hosts = {o['host']: o for o in lines if o['type'] == 'host'}
    expect(len(hosts) == 12 and {name for name, h in hosts.items() if h['stalls']} == helped, 'who stalled', hosts)
    findings = [o for o in lines if o['type'] == 'finding']
    expect(findings, 'no finding', r.stdout)
    first = findings[0]
    expect(first['kind'] in ('waits-for-peer', 'zone-unanswered') and first['confidence'] == 'high', first)
    expect('reputation.example' in first['text'] and 'reputation.example' in first['peer']['zone'], first)
    expect(sorted(first['affected']) == sorted(helped) and first['affected_count'] == 6, 'the wrong hosts', first)
    for f in findings:
        expect(set(f['affected']) <= helped and f['affected_count'] <= 6, 'a host without the helper is accused', f)
    expect(lines[-1]['lost']['sum'] == 0, lines[-1])
    expect('reputation.example' in ' '.join(r.stdout.split('LEDGER')[1].split('confidence')[0].split()), r.stdout)
