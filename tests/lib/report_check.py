#!/usr/bin/env python3
"""Checks that a report does not contradict itself: the ledger adds up, and the headline follows from it.

report_check.py JSON-LINES-FILE [TEXT-FILE]

The first file is the output of --json, the second one the text report of the same run or of the same capture. It
prints each contradiction and what a reader would lose by it; the exit status is 1 if there is one. lib/schema.py
calls this module for each report that a test reads, so that all suites pass through it.
"""
import collections
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCHEMA = os.path.join(ROOT, 'user', 'data', 'report.schema.json')
LEDGER = os.path.join(ROOT, 'user', 'model', 'ledger.c')
KINDS = os.path.join(ROOT, 'user', 'diagnose', 'kinds.c')

ROWS = 'in_time', 'late', 'failed', 'cancelled', 'undecided', 'unseen'
SHOWN_FINDINGS = 12  # the text report ends with a count of the others

# The stages in which the path takes part, and the manners in which it may be the reason; None stands for all.
PATH = {
    'name': None,
    'connect': {'silent', 'one_syn', 'no_route', 'prohibited', 'time_exceeded', 'unreachable', 'slow'},
    'finish': None,
    'answer': {'not_acked', 'too_large'},
}

LEDGER_LINE = re.compile('^LEDGER  ' + ', '.join(r'(\d+) ' + row.replace('_', ' ') for row in ROWS) + '$', re.M)

COUNTED = ('address', 'attempt', 'byte', 'client', 'connect', 'connection', 'finding', 'greeting', 'handshake', 'host',
           'packet', 'peer', 'request', 'segment', 'server', 'stall', 'SYN', 'SYN-ACK', 'wait')
# Exceptions: "1 of 1 connects" is a share, and "packets whose headers could not be read" is a label behind its count.
ONE_OF_MANY = re.compile(r'(?<!\bof )(?<!\bof its )(?<![\w.,:/%%+-])1 (?:%s|addresses)\b(?! whose)' % '|'.join(
    noun + 's' for noun in COUNTED))
NOT_A_NUMBER = re.compile(r'(?<![\w.:-])[+-]?(?:nan|inf)\b', re.I)

# Sentences that acquit everything. No report may contain the first ones; the others need the state fine.
ACQUITTALS = re.compile(r'nothing wrong|no peer failed|the problem is (?:not here|elsewhere)', re.I)
ALL_WELL = re.compile(r'\b(?:all|everything) (?:is|are|was|were|went) (?:well|fine|good|ok|healthy|in order)\b'
                      r'|\bnothing (?:is|was) (?:wrong|broken|amiss)\b|\bno (?:problem|fault|trouble)s?\b[^.;:,]{0,20}\bfound\b'
                      r'|\b(?:all|every) (?:connects?|connections?|attempts?)\b[^.;:,]{0,20}\b(?:served|answered)\b', re.I)


def words_in(path, prefix):
    """Returns the words of a C table such as [ROW_LATE] = "late"; an empty set if the file is not there."""
    if not os.path.exists(path):
        return set()
    with open(path) as file:
        return set(re.findall(r'\[%s\w+\]\s*=\s*(?:\{ )?"([^"]+)"' % prefix, file.read()))


def known_words():
    """Returns the sets of the words for row, stage and how."""
    with open(SCHEMA) as file:
        ledger = json.load(file)['$defs']['summary']['properties']['ledger']
    row = ledger['properties']['rows']['items']['properties']
    return {name: words_in(LEDGER, prefix) or set(row[name]['enum']) - {None}
            for name, prefix in (('row', 'ROW_'), ('stage', 'STAGE_'), ('how', 'MANNER_'))}


def harmless_kinds():
    """Returns the kinds that the table of kinds declares to be no problem."""
    if not os.path.exists(KINDS):
        return set()
    with open(KINDS) as file:
        return set(re.findall(r'\[KIND_\w+\]\s*=\s*\{\s*"([^"]+)",\s*\w+,\s*\w+,\s*false', file.read()))


WORDS, HARMLESS = known_words(), harmless_kinds()


def flat(text):
    """Returns the text without line breaks, in the ASCII form that a terminal without UTF-8 gets."""
    for character, ascii_form in (('±', '+-'), ('µ', 'u'), ('–', '-'), ('→', '->')):
        text = text.replace(character, ascii_form)
    return ' '.join(text.split())


def has_number(text, number):
    return re.search(r'(?<![\d.:])%d(?![\d:]|\.\d)' % number, text) is not None


def of(objects, kind):
    return [o for o in objects if o['type'] == kind]


def summary_of(objects):
    """Returns the summary of a complete report; None for a part of one, and for a reader's part of the lines."""
    if not objects or objects[0].get('type') != 'run' or objects[-1].get('type') != 'summary':
        return None
    return objects[-1]


# ---- each check yields the contradictions that it finds ----

def check_counts(objects, summary):
    """The totals of the summary are the numbers of lines."""
    outcomes = sum(summary[name] for name in ('established', 'refused', 'unreachable', 'unanswered', 'half_open'))
    if outcomes != summary['connections']:
        yield 'the outcomes sum to %d of %d connects: a reader cannot tell how the others ended' % (
            outcomes, summary['connections'])
    if summary['connections'] != summary['ledger']['connects']:
        yield 'the summary counts %d connects, the ledger %d: every share is doubtful' % (
            summary['connections'], summary['ledger']['connects'])
    if summary['findings'] != len(of(objects, 'finding')):
        yield 'the summary counts %d findings, but there are %d: a script would stop too early or too late' % (
            summary['findings'], len(of(objects, 'finding')))
    if summary['hosts'] != len(of(objects, 'host')):
        yield 'the summary counts %d hosts, but there are %d: "4 of 8 hosts" would be wrong' % (
            summary['hosts'], len(of(objects, 'host')))


def check_ledger(objects, summary):
    """The rows add up, and each is the sum of its parts."""
    ledger = summary['ledger']
    total = sum(ledger[row] for row in ROWS)
    if total != ledger['connects']:
        yield 'the rows of the ledger add up to %d, not to %d connects: %d connects vanish from the report' % (
            total, ledger['connects'], ledger['connects'] - total)
    parts, seen = collections.Counter(), set()
    for part in ledger['rows']:
        key = part['row'], part['stage'], part['how']
        if key in seen:
            yield 'the ledger lists %s twice: who reads one of them loses the other' % (key,)
        seen.add(key)
        parts[part['row']] += part['count']
        if part['row'] != 'in_time' and part['how'] is None:
            yield 'the ledger gives no reason for %d connects that are %s' % (part['count'], part['row'])
        if not part['count']:
            yield 'the ledger lists %s with no connect' % (key,)
        for name, word in zip(('row', 'stage', 'how'), key):
            if word is not None and word not in WORDS[name]:
                yield 'the ledger has the unknown %s %r: a script that groups by it loses these connects' % (name, word)
    for row in ROWS:
        if parts[row] != ledger[row]:
            yield 'the parts of the row %s add up to %d, not to %d: connects without stage and manner' % (
                row, parts[row], ledger[row])


def check_records(objects, summary):
    """Each connect of the ledger is there as one or more connection objects."""
    connects, counted = len({c['connect'] for c in of(objects, 'connection')}), summary['ledger']['connects']
    if connects != counted:
        yield 'the connection objects belong to %d connects, the ledger has %d: who counts gets another result' % (
            connects, counted)


def check_state(objects, summary):
    """The state and the headline follow from the findings and the ledger."""
    state, verdict, ledger = summary['state'], summary['verdict'], summary['ledger']
    problems = [f for f in of(objects, 'finding') if f['problem']]
    bad = ledger['failed'] + ledger['late']
    if ledger['in_time']:  # names that nobody answered are failures, if anything else shows that the view is whole
        bad += summary.get('names', {}).get('in_vain', 0)
    if (state == 'problem') != bool(problems):
        yield 'the state is %s with %d findings that are problems: the headline hides them, or invents one' % (
            state, len(problems))
    if problems and verdict != problems[0]['text']:
        yield 'the headline "%s" is not the sentence of the first problem, "%s"' % (verdict, problems[0]['text'])
    if not problems and (state == 'failures') != (bad > 0):
        yield 'the state is %s, but %d connects failed and %d were late: the reader is told the opposite' % (
            state, ledger['failed'], ledger['late'])
    if state == 'fine' and not ledger['in_time'] + ledger['cancelled']:
        yield 'the state is fine although not one connect is decided: nothing supports it'
    named = {'failures': ('failed', 'late'), 'fine': ('in_time',)}.get(state, ())
    for row in named:
        if ledger[row] and not has_number(verdict, ledger[row]):
            yield 'the headline "%s" does not say that the row %s has %d connects' % (verdict, row, ledger[row])
    if state != 'fine' and ALL_WELL.search(verdict):
        yield 'the headline of the state %s says that all is well: "%s"' % (state, verdict)
    if state == 'unknown' and not verdict.startswith('nothing can be said: '):
        yield 'the headline of the state unknown does not say so: "%s"' % verdict


def check_findings(objects, summary):
    """No finding contradicts the ledger, the table of kinds, or another finding."""
    findings = of(objects, 'finding')
    kinds = {f['kind'] for f in findings}
    for f in findings:
        if (f['confidence'] == 'high') != (f['confidence_reason'] is None):
            yield '%s: a confidence below high needs a reason, and no other has one: %s, %s' % (
                f['kind'], f['confidence'], f['confidence_reason'])
        if f['problem'] and not any(line['label'] == 'action' for line in f['evidence']):
            yield '%s: the engineer is not told what to do' % f['kind']
        if f['problem'] and f['kind'] in HARMLESS:
            yield '%s is a problem here, and harmless in the table of kinds: --exit-code would cry wolf' % f['kind']
    if 'not-the-network' in kinds:
        for part in summary['ledger']['rows']:
            manners = PATH.get(part['stage'], set())
            if part['row'] in ('failed', 'late') and (manners is None or part['how'] in manners):
                yield 'the report acquits the network, but %d connects %s at the stage %s (%s)' % (
                    part['count'], 'failed' if part['row'] == 'failed' else 'were late', part['stage'], part['how'])
    sure = [f['kind'] for f in findings if f['confidence'] == 'high' and f['kind'] not in HARMLESS]
    if 'no-verdict' in kinds and sure:
        yield 'the report says that no verdict is possible, and is certain of %s' % ', '.join(sure)


def check_words(objects, summary):
    """No sentence of the JSON lines has a placeholder or a wrong plural, or acquits everything."""
    sentences = [summary['verdict']]
    for f in of(objects, 'finding'):
        sentences += [f['text']] + [line['text'] for line in f['evidence']]
    for text in sentences:
        yield from wrong_words(text)
        if re.search(r'(?<!\d)–', text):
            yield 'a dash where a duration belongs: "%s"' % text


def wrong_words(text):
    for what, pattern in (('a plural for one', ONE_OF_MANY), ('no number', NOT_A_NUMBER),
                          ('an acquittal that nothing supports', ACQUITTALS)):
        found = pattern.search(text)
        if found:
            yield '%s: "%s"' % (what, text[max(0, found.start() - 40):found.end() + 40])


CHECKS = check_counts, check_ledger, check_records, check_state, check_findings, check_words


def faults(objects):
    """Returns the contradictions in the JSON lines of one report; of a part of one, none."""
    summary = summary_of(objects)
    if summary is None:
        return []
    return [fault for check in CHECKS for fault in check(objects, summary)]


def head_of(text):
    """Returns the match of the first line of the report; live lines may precede it."""
    return re.search(r'^.+ on .+ (?:·|\|) (\d+) connects? (?:·|\|) (\d+) hosts? (?:·|\|) (\d+) lost$', text, re.M)


def noted(finding):
    """Returns the headline of a finding with service and name behind its peer, as text and page show it without -n."""
    peer = finding.get('peer')
    note = ', '.join(word for word in (peer.get('service'), peer.get('name')) if word) if peer else ''
    if not note or finding.get('prefix_length'):
        return finding['text']
    number = '[%s]' % peer['address'] if peer['port'] and ':' in peer['address'] else peer['address']
    number += ':%d' % peer['port'] if peer['port'] else ''
    number += ' vlan ' + '.'.join(map(str, peer['vlans'])) if peer['vlans'] else ''
    return re.sub(r'(?<!\S)%s(?!\w|[:/]| \(|\.\w)' % re.escape(number), lambda found: '%s (%s)' % (found[0], note),
                  finding['text'], count=1)


def text_faults(text, objects):
    """Returns the contradictions between a text report and the JSON lines of the same run."""
    summary, head = summary_of(objects), head_of(text)
    if summary is None:
        return []
    if not head:
        return ['the text has no first line with the numbers of connects, hosts and losses']
    ledger, found = summary['ledger'], []
    for what, got, want in (('connects', head[1], ledger['connects']), ('hosts', head[2], summary['hosts']),
                            ('losses', head[3], summary['lost']['sum'])):
        if int(got) != want:
            found.append('the first line counts %s %s, the JSON lines %d' % (got, what, want))
    report = text[head.start():]
    words = flat(report)
    rows = LEDGER_LINE.search(report)
    first = next((f for f in of(objects, 'finding') if f['problem']), None)
    if flat(summary['verdict']) not in words and not (first and flat(noted(first)) in words):
        found.append('the text does not contain the headline "%s"' % summary['verdict'])
    if ledger['connects'] and not rows:
        found.append('the text does not contain the ledger')
    for row, count in zip(ROWS, rows.groups() if rows else ()):
        if int(count) != ledger[row]:
            found.append('the text has %s connects in the row %s of the ledger, the JSON lines %d' % (count, row, ledger[row]))
    for f in of(objects, 'finding')[:SHOWN_FINDINGS]:
        if flat(f['text']) not in words and flat(noted(f)) not in words:
            found.append('the text does not contain the finding "%s"' % f['text'])
    if summary['state'] != 'fine' and ALL_WELL.search(words):
        found.append('the state is %s, and the text says "%s"' % (summary['state'], ALL_WELL.search(words)[0]))
    return found + list(wrong_words(report))


def expect_clean(text):
    """Fails if a text report has a sentence that no report may have; for a report without its JSON lines."""
    head = head_of(text)
    wrong = list(wrong_words(text[head.start():])) if head else []
    if wrong:
        raise AssertionError('the report has %s' % '; '.join(wrong))


def exit_status(summary, with_exit_code):
    """Returns the exit status that a run with this summary must have, unless it was cut short."""
    return 3 if with_exit_code and summary['state'] == 'problem' else 0


def status_faults(status, objects, arguments):
    """Returns whether the exit status contradicts the report; an error, such as a damaged file, is none."""
    summary = summary_of(objects)
    if summary is None or status not in (0, 3):
        return []
    want = exit_status(summary, '--exit-code' in arguments)
    return [] if status == want else [
        'the exit status is %d in the state %s, not %d: a script would take the wrong branch' % (
            status, summary['state'], want)]


def expect_sound(objects, text=None, status=0, arguments=()):
    """Fails with all contradictions in a report. status and arguments are those of the program."""
    wrong = faults(objects) + status_faults(status, objects, arguments)
    if text is not None:
        wrong += text_faults(text, objects)
    if wrong:
        raise AssertionError('the report contradicts itself: ' + '; '.join(wrong))


def main(json_file, text_file=None):
    with open(json_file) as file:
        objects = [json.loads(line) for line in file]
    wrong = faults(objects)
    if summary_of(objects) is None:
        wrong.append('no complete report: the first line must be the run, the last one the summary')
    elif text_file:
        with open(text_file, errors='replace') as file:
            wrong += text_faults(file.read(), objects)
    for fault in wrong:
        print(fault)
    print('report_check: %d contradiction%s' % (len(wrong), '' if len(wrong) == 1 else 's'))
    return 1 if wrong else 0


if __name__ == '__main__':
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
