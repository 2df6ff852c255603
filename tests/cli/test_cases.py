"""The ledger and the headline on troubles that people reported in public, and on the captures of other projects.

../shared/cases has captures of such troubles, and expect.tsv with the right report of each. If a test fails here, a
report acquits what is broken, accuses what is not, or leaves connects out.
"""
import collections
import csv
import os
import subprocess
import tempfile

import pytest

import report_check
import schema
from probe import PROBE, ROOT, expect

SHARED = os.path.join(ROOT, '..', 'shared')
CASES = os.path.join(SHARED, 'cases')
CAPTURES = os.path.join(SHARED, 'captures', 'pcaps')
OTHER_PROTOCOLS = 'dns-', 'tls-', 'udp-', 'quic-'
NOT_DECIDED = 0.05  # at most this share of the connects is undecided or unseen

# Cases whose state is not the right one yet: the state now, and the kind of finding that they wait for. This table
# must shrink: test_state fails for a case that is here and has its right state.
AWAITED = {
}


class Report:
    """One run over a capture: the JSON objects, the text and the exit status, checked for contradictions."""

    def __init__(self, path):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, 'out.json')
            arguments = ['-q', '--exit-code', '--read', path, '--json=' + out]
            done = subprocess.run([PROBE] + arguments, capture_output=True, text=True, timeout=120,
                                  env=dict(os.environ, LC_ALL='C.UTF-8'))
            self.status, self.text, self.errors = done.returncode, done.stdout, done.stderr
            self.objects = []
            if os.path.exists(out):
                with open(out) as file:
                    self.objects = schema.load(file)
        self.summary = report_check.summary_of(self.objects)
        if self.summary:
            self.state, self.ledger = self.summary['state'], self.summary['ledger']
            self.findings = [o for o in self.objects if o['type'] == 'finding']
            self.faults = report_check.text_faults(self.text, self.objects) + \
                report_check.status_faults(self.status, self.objects, arguments)


def captures_of(folder):
    if not os.path.isdir(folder):
        pytest.skip('needs ../shared/%s, which a user\'s checkout has not' % os.path.relpath(folder, SHARED))
    return sorted(os.path.join(folder, name) for name in os.listdir(folder))


@pytest.fixture(scope='module')
def cases():
    """Returns (row of expect.tsv, report) of each case."""
    captures_of(CASES)
    with open(os.path.join(CASES, 'expect.tsv')) as file:
        rows = [{key: value or '' for key, value in row.items() if key} for row in csv.DictReader(file, delimiter='\t')]
    found = [(row, Report(os.path.join(CASES, row['name'] + '.pcap'))) for row in rows]
    for row, report in found:
        expect(report.summary, row['name'], report.errors)
    return found


def tcp(cases):
    return [(row, report) for row, report in cases if not row['name'].startswith(OTHER_PROTOCOLS)]


def harmless(cases):
    """Returns the cases of other protocols in which nothing is to be accused."""
    return [(row, report) for row, report in cases
            if row['name'].startswith(OTHER_PROTOCOLS) and 'fine' in row['state'].split('|')]


def wrong_counts(row, report):
    for item in row['ledger'].split():
        name, count = item.split('=')
        if report.ledger[name] != int(count):
            yield '%s: %s is %d, not %s: %s' % (row['name'], name, report.ledger[name], count, report.ledger)


def nothing(wrong):
    expect(not wrong, len(wrong), 'faults:\n' + '\n'.join(wrong[:20]))


def test_ledger(cases):
    """every case about TCP has the right numbers in the ledger"""
    nothing([fault for row, report in tcp(cases) for fault in wrong_counts(row, report)])


def test_state(cases):
    """every case about TCP has the right state, or the listed one until its kind of finding is there"""
    wrong = []
    for row, report in tcp(cases):
        name, wanted = row['name'], row['state'].split('|')
        if not row['state']:
            continue
        if report.state in wanted and name in AWAITED:
            wrong.append('%s has its right state, %s: remove it from AWAITED' % (name, report.state))
        elif report.state not in wanted and report.state != AWAITED.get(name, (None,))[0]:
            wrong.append('%s is in the state %s, not %s: %s' % (name, report.state, row['state'], report.summary['verdict']))
    unknown = set(AWAITED) - {row['name'] for row, _ in cases}
    nothing(wrong + ['AWAITED has %s, which is no case' % name for name in unknown])


def test_acquittal(cases):
    """no case about TCP that must not acquit the network does so"""
    nothing(['%s: the network is acquitted: %s' % (row['name'], report.ledger['rows']) for row, report in tcp(cases)
             if 'not-the-network' in row['must not'].split() and any(f['kind'] == 'not-the-network' for f in report.findings)])


def test_harmless(cases):
    """in the harmless cases about names, TLS, UDP and QUIC nobody is accused, and no connect fails or is late"""
    wrong = []
    for row, report in harmless(cases):
        wrong += wrong_counts(row, report)
        wrong += ['%s: %s, %s: %s' % (row['name'], f['kind'], f['confidence'], f['text']) for f in report.findings
                  if f['problem'] and f['confidence'] != 'low']
    nothing(wrong)


def test_decided(cases):
    """at most 5 % of the connects of all cases are undecided or unseen"""
    connects = sum(report.ledger['connects'] for _, report in cases)
    left = {row['name']: report.ledger['undecided'] + report.ledger['unseen'] for row, report in cases}
    reasons = collections.Counter()
    for _, report in cases:
        for part in report.ledger['rows']:
            if part['row'] in ('undecided', 'unseen'):
                reasons[part['row'], part['stage'], part['how']] += part['count']
    expect(sum(left.values()) <= NOT_DECIDED * connects, sum(left.values()), 'of', connects, reasons,
           {name: n for name, n in left.items() if n})


def test_sound(cases):
    """no report of a case contradicts itself"""
    nothing(['%s: %s' % (row['name'], fault) for row, report in cases for fault in report.faults])


def test_captures():
    """no report of a capture of another project contradicts itself; prints the rows of all ledgers"""
    wrong, parts, connects, reports = [], collections.Counter(), 0, 0
    for path in captures_of(CAPTURES):
        try:
            report = Report(path)
        except AssertionError as e:
            wrong.append('%s: %s' % (os.path.basename(path), e))
            continue
        if not report.summary:
            continue
        wrong += ['%s: %s' % (os.path.basename(path), fault) for fault in report.faults]
        connects, reports = connects + report.ledger['connects'], reports + 1
        for part in report.ledger['rows']:
            parts[part['row'], part['stage'] or '', part['how'] or ''] += part['count']
    print('%-10s %-9s %-15s %7s' % ('row', 'stage', 'how', 'count'))
    for key, count in sorted(parts.items(), key=lambda item: (report_check.ROWS.index(item[0][0]), -item[1])):
        print('%-10s %-9s %-15s %7d' % (*key, count))
    print('%d connects in %d captures' % (connects, reports))
    nothing(wrong)
    expect(reports > 100, 'only', reports, 'captures could be read')
