#!/usr/bin/env python3
"""Compares every record of captures with an independent analyser (the oracle).

oracle_compare.py PROBE ORACLE_FOLDER [FILE...]

It compares the oracle's strict records outside tunnels: outcome, counts, and to the nanosecond every time stamp up
to the moment at which the probe's record settled. A record without a counterpart in the oracle, such as one of a
connection from before the start, counts as a difference as well. It prints a row per file, and each difference with
its reason if that is known.
"""
import os
import subprocess
import sys

import schema

OUTCOMES = {'unreachable_icmp': 'unreachable'}
TIMES = (('t_synack', 'synack'), ('t_ack', 'ack'), ('t_first_payload_client', 'client_first'),
         ('t_first_payload_server', 'server_first'), ('t_rst', 'rst'), ('t_fin', 'fin'))


# Known errors of the oracle with their reasons: (file, client port, frame of the first SYN).
EXPLAINED = {
    ('OISF+suricata-verify__tests_base64-decode-5885_input.pcap', 57558, 235):
        'frame 192 is a challenge ACK of an older connection: the client resets that one and stays in SYN-SENT '
        '(RFC 9293 3.10.7.3), so frame 235 is the second SYN of the attempt of frame 191',
}


def ours(probe, path):
    """Returns (records by identity, summary, exit status); None if the probe cannot read the file."""
    run = subprocess.run([probe, '--read', path, '--json'], capture_output=True, text=True)
    lines = schema.load(run.stdout)
    if not lines:
        return None, None, run.stderr.strip()
    records = {}
    for r in lines:
        if r['type'] == 'connection':
            records[(r['client'], r['client_port'], r['server'], r['server_port'], r['syn'])] = r
    return records, lines[-1], run.stderr.strip()


def differences(want, got):
    settled = got['syn'] + got['watched']
    end = got['settled_by'] in ('end', 'timeout')

    def before(t):
        return t is not None and t <= settled

    if got['outcome'] != OUTCOMES.get(want['outcome'], want['outcome']):
        # Events after the settlement of a record do not count against it.
        if end or got['settled_by'] not in ('pressure', 'superseded'):
            yield 'outcome', want['outcome'], got['outcome']
    syns = len([t for t in want['syn_times'] if before(t)])
    if syns != got['syn_count'] + got['syn_copies']:
        yield 'syn_count', syns, got['syn_count'] + got['syn_copies']
    if end and want['synack_count'] != got['synack_count'] + got['synack_copies']:
        yield 'synack_count', want['synack_count'], got['synack_count'] + got['synack_copies']
    for theirs, name in TIMES:
        expected = want[theirs] if before(want[theirs]) else None
        if expected != got[name]:
            yield name, expected, got[name]
    icmp = want['icmp_unreachable']
    if icmp and before(icmp['t']) and want['outcome'] == 'unreachable_icmp':
        mine = got['icmp'] or {}
        for key, mine_key in (('t', 'time'), ('type', 'type'), ('code', 'code'), ('from', 'from')):
            if icmp[key] != mine.get(mine_key):
                yield 'icmp ' + key, icmp[key], mine.get(mine_key)


def compare(probe, directory, files=()):
    """Returns the number of differences."""
    sys.path.insert(0, directory)
    import oracle

    pcaps = os.path.join(directory, 'pcaps')
    files = files or sorted(os.path.join(pcaps, f) for f in os.listdir(pcaps))
    total = agreed = explained = unreadable = phantoms = 0
    print('%-66s %7s %7s %8s' % ('capture', 'strict', 'agree', 'phantoms'))
    for path in files:
        try:
            theirs, meta = oracle.analyse(path)
        except (oracle.BadFile, OSError, EOFError):
            theirs = []
        records, _, error = ours(probe, path)
        strict = [r for r in theirs if r['strict'] and not r['tunnel']]
        if records is None:
            unreadable += 1
            if strict:
                print('%s: %d records, but: %s' % (os.path.basename(path), len(strict), error))
                total += len(strict)
            continue
        good = 0
        for want in strict:
            key = (want['client_ip'], want['client_port'], want['server_ip'], want['server_port'], want['t_syn'])
            got = records.get(key)
            wrong = list(differences(want, got)) if got else [('record', 'there', 'missing')]
            reason = wrong and EXPLAINED.get((os.path.basename(path), want['client_port'], want['f_first']))
            if reason:
                print('  explained: ' + reason)
                explained += 1
                continue
            if not wrong:
                good += 1
            for name, expected, found in wrong:
                print('  %s %s:%s > %s:%s frame %s: %s: oracle %s, probe %s%s' % (
                    os.path.basename(path)[-60:], *key[:4], want['f_first'], name, expected, found,
                    ' (settled by %s)' % got['settled_by'] if got else ''))
        total += len(strict)
        agreed += good
        known = {(r['client_ip'], r['client_port'], r['server_ip'], r['server_port'], r['t_syn'])
                 for r in theirs if r['outcome'] != 'midstream'}
        more = [key for key in records if key not in known]
        for key in more:
            print('  %s %s:%s > %s:%s at %d: the oracle has no such attempt' % (
                os.path.basename(path)[-60:], *key))
        phantoms += len(more)
        if strict or more:
            print('%-66s %7d %7d %8d' % (os.path.basename(path)[-66:], len(strict), good, len(more)))
    differ = total - agreed - explained
    print('%d files, %d not readable; %d strict records, %d agree, %d explained, %d differ; %d phantoms' % (
        len(files), unreadable, total, agreed, explained, differ, phantoms))
    return differ + phantoms


if __name__ == '__main__':
    sys.exit(compare(*sys.argv[1:3], sys.argv[3:]) != 0)
