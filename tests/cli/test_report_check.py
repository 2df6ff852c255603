"""lib/report_check.py finds contradictions in reports.

All suites rely on it. If it found nothing, a report could lose connects or acquit what is broken, and every test
would still pass.
"""
import copy
import json
import os
import subprocess
import sys
import tempfile

import report_check
from probe import ROOT, expect

PROBLEM = '10.200.7.9:5274 does not answer 2 of 2 connects'


def finding(number, kind, problem, text, confidence='medium'):
    return {'type': 'finding', 'number': number, 'kind': kind, 'problem': problem, 'confidence': confidence,
            'confidence_reason': None if confidence == 'high' else 'two cases only', 'text': text,
            'evidence': [{'label': 'against', 'text': '5 hosts do not wait'}, {'label': 'action', 'text': 'restore it'}]}


def report(state, verdict, counts, findings=(), parts=None):
    """Returns a report with these counts of the ledger; each row has one part, unless they are given."""
    how = {'in_time': (None, None), 'late': ('answer', 'slow'), 'failed': ('connect', 'silent'),
           'cancelled': ('hold', 'unused'), 'undecided': ('answer', 'run_ended'), 'unseen': ('connect', 'one_direction')}
    ledger = dict.fromkeys(report_check.ROWS, 0)
    ledger.update(counts)
    if parts is None:
        parts = [(row, *how[row], n) for row, n in counts.items() if n]
    total = sum(counts.values())
    summary = {
        'type': 'summary', 'state': state, 'verdict': verdict, 'connections': total, 'hosts': 1, 'findings': len(findings),
        'established': total, 'refused': 0, 'unreachable': 0, 'unanswered': 0, 'half_open': 0,
        'lost': {'sum': 0}, 'ledger': dict(ledger, connects=total, rows=[
            dict(zip(('row', 'stage', 'how', 'count'), part)) for part in parts])}
    return [{'type': 'run'}] + [{'type': 'connection', 'connect': n} for n in range(total)] + [
        {'type': 'host'}] + list(findings) + [summary]


def text_of(objects):
    """Returns a text report of the shape that the probe prints."""
    summary = objects[-1]
    plural = '' if summary['connections'] == 1 else 's'
    lines = ['2 min 5 s on eth0 · %d connect%s · 1 host · 0 lost' % (summary['connections'], plural),
             'LEDGER  ' + ', '.join('%d %s' % (summary['ledger'][row], row.replace('_', ' ')) for row in report_check.ROWS)]
    return '\n'.join(lines + [summary['verdict']] + [f['text'] for f in objects if f['type'] == 'finding']) + '\n'


def sound():
    """Returns reports without a contradiction, one of each state."""
    acquittal = finding(1, 'not-the-network', False, 'the network that passes here is prompt', 'high')
    return [
        report('fine', '44 of 44 connects were served; the slowest took 25 ms to the first answer', {'in_time': 44},
               [acquittal]),
        report('failures', '3 of 44 connects failed and 2 were late; no cause stands out',
               {'in_time': 38, 'late': 2, 'failed': 3, 'cancelled': 1}),
        report('problem', PROBLEM, {'in_time': 7, 'failed': 2},
               [finding(1, 'stalls-unexplained', False, 'stalls without a cause'),
                finding(2, 'peer-unanswered', True, PROBLEM), finding(3, 'slow-access', True, 'the round trip is long')]),
        report('unknown', 'nothing can be said: the run ended too early', {'undecided': 3, 'unseen': 1}),
        report('failures', '2 of 9 connects failed; no cause stands out', {'in_time': 7, 'failed': 2}, [acquittal],
               [('in_time', None, None, 7), ('failed', 'connect', 'refused', 2)]),
    ]


def spoiled():
    """Yields (what, objects), each with one contradiction."""
    fine, failures, problem, unknown, refused = sound()

    def with_summary(objects, **changes):
        other = copy.deepcopy(objects)
        other[-1].update(changes)
        return other

    def with_ledger(objects, **changes):
        return with_summary(objects, ledger=dict(objects[-1]['ledger'], **changes))

    def with_part(objects, **changes):
        ledger = copy.deepcopy(objects[-1]['ledger'])
        ledger['rows'][-1].update(changes)
        return with_summary(objects, ledger=ledger)

    def with_finding(objects, which, **changes):
        other = copy.deepcopy(objects)
        [f for f in other if f['type'] == 'finding'][which].update(changes)
        return other

    yield 'a connect in no row', with_ledger(fine, connects=45)
    yield 'a connect in two rows', with_ledger(failures, unseen=1)
    yield 'a row without parts', with_ledger(fine, rows=[])
    yield 'a part twice', with_ledger(fine, rows=[dict(fine[-1]['ledger']['rows'][0], count=22)] * 2)
    yield 'a part without a connect', with_ledger(
        fine, rows=fine[-1]['ledger']['rows'] + [{'row': 'late', 'stage': 'answer', 'how': 'slow', 'count': 0}])
    for name in ('row', 'stage', 'how'):
        yield 'an unknown word', with_part(failures, **{name: 'nowhere'})
    yield 'a part without a reason', with_part(failures, how=None)
    yield 'a connect without an object', [o for o in fine if o.get('connect') != 5]
    yield 'two connects with one number', [dict(o, connect=4) if o.get('connect') == 5 else o for o in fine]
    for objects in (fine, failures, unknown, refused):
        yield 'a problem without a finding', with_summary(objects, state='problem')
    for state in ('fine', 'failures', 'unknown'):
        yield 'a finding without a problem', with_summary(problem, state=state)
        yield 'failures, but not the state', with_summary(failures, state=state if state != 'failures' else 'fine')
    yield 'no failure', with_summary(fine, state='failures')
    yield 'names that nobody answered', with_summary(fine, names={'in_vain': 3})
    yield 'nothing served', with_summary(unknown, state='fine', verdict='0 of 4 connects were served')
    yield 'another headline', with_summary(problem, verdict='something else does not answer')
    yield 'the headline of a later finding', with_summary(problem, verdict='the round trip is long')
    yield 'the wrong number of failures', with_summary(failures, verdict='4 of 44 connects failed and 2 were late')
    yield 'late connects not named', with_summary(failures, verdict='3 of 44 connects failed; no cause stands out')
    yield 'the wrong number of served connects', with_summary(fine, verdict='43 of 45 connects were served')
    yield 'an acquittal', with_summary(fine, verdict='nothing wrong was found: 44 connects')
    yield 'all is well', with_summary(unknown, verdict='nothing can be said, but all is well')
    yield 'unknown, but not said', with_summary(unknown, verdict='3 connects of 4 were not decided')
    yield 'confidence below high without a reason', with_finding(problem, 0, confidence_reason=None)
    yield 'a reason against high confidence', with_finding(problem, 0, confidence='high')
    yield 'a problem without an action', with_finding(problem, 1, evidence=[])
    yield 'a harmless problem', with_finding(fine, 0, problem=True)
    for stage, how in (('connect', 'silent'), ('connect', 'no_route'), ('name', 'slow'), ('finish', 'syn_again'), ('answer', 'not_acked')):
        yield 'the network acquitted', with_part(refused, stage=stage, how=how)
    yield 'no verdict, and certain', problem[:-2] + [
        finding(3, 'no-verdict', False, 'too little was seen'), finding(4, 'slow-access', True, 'the round trip is long', 'high'),
        dict(problem[-1], findings=4)]
    yield 'the wrong number of findings', with_summary(problem, findings=1)
    yield 'the wrong number of hosts', with_summary(fine, hosts=2)
    yield 'the wrong number of connects', with_summary(fine, connections=43, established=43)
    yield 'the wrong outcomes', with_summary(fine, refused=1)
    for text in ('1 connections without a SYN-ACK', '1 hosts wait', 'the longest wait is –', 'p = nan', '-inf ms',
                 'NOTHING WRONG FOUND', 'No peer failed'):
        yield 'words', with_finding(problem, 2, text=text)
        yield 'words of evidence', with_finding(problem, 0, evidence=[{'label': '', 'text': text}])


def test_sound():
    """a report of each state without a contradiction is accepted"""
    for objects in sound():
        for text in (text_of(objects), text_of(objects).replace('·', '|')):
            report_check.expect_sound(objects, text)
        status = 3 if objects[-1]['state'] == 'problem' else 0
        report_check.expect_sound(objects, status=status, arguments=['--exit-code'])
        report_check.expect_sound(objects, status=0)
    plural = report('fine', '1 of 1 connects were served; 10.1.4.1 connects first, 11 hosts wait', {'in_time': 1})
    report_check.expect_sound(plural, text_of(plural))


def test_contradictions():
    """each contradiction in the JSON lines is found"""
    for what, objects in spoiled():
        expect(report_check.faults(objects), 'not found:', what, objects[-1])


def test_text():
    """each contradiction between the text and the JSON lines is found"""
    for objects in sound():
        text = text_of(objects)
        for what, other in (
                ('the headline', text.replace(objects[-1]['verdict'], 'x')), ('the number of hosts', text.replace('1 host', '2 hosts')),
                ('the number of connects', text.replace(' connect', '0 connect', 1)), ('losses', text.replace('0 lost', '7 lost')),
                ('the ledger', text.replace(text.splitlines()[1], '')), ('a report', ''), ('an acquittal', text + 'NOTHING WRONG FOUND'),
                ('a plural', text + '1 attempts'), ('no number', text + 'p50 nan ms')):
            expect(report_check.text_faults(other, objects), 'not found:', what, other)
        if objects[-1]['state'] != 'fine':
            expect(report_check.text_faults(text + 'all is well', objects), 'all is well', text)
    expect(report_check.text_faults(text_of(sound()[2]).replace('the round trip is long', ''), sound()[2]), 'a finding is missing')


def test_exit_status():
    """the exit status is 3 for a problem with --exit-code, and else 0"""
    for objects in sound():
        for status in (0, 3):
            for arguments in ([], ['--exit-code']):
                good = status == (3 if arguments and objects[-1]['state'] == 'problem' else 0)
                expect(bool(report_check.status_faults(status, objects, arguments)) != good, status, arguments, objects[-1])


def test_command():
    """the command prints the contradictions, and its exit status is 1 if there are any"""
    def write(name, content):
        path = os.path.join(folder, name)
        with open(path, 'w') as file:
            file.write(content)
        return path

    with tempfile.TemporaryDirectory() as folder:
        for objects, text, status in ((sound()[0], text_of(sound()[0]), 0), (sound()[0], text_of(sound()[1]), 1),
                                      (sound()[0][1:], text_of(sound()[0]), 1)):
            done = subprocess.run([sys.executable, os.path.join(ROOT, 'tests', 'lib', 'report_check.py'),
                                   write('out.json', ''.join(json.dumps(o) + '\n' for o in objects)), write('out.txt', text)],
                                  capture_output=True, text=True)
            expect(done.returncode == status and 'report_check: ' in done.stdout, done.stdout, done.stderr)
            expect((len(done.stdout.splitlines()) > 1) == bool(status), done.stdout)
