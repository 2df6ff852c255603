"""The common part of all Python suites: their options, and the output of their results.

A test's docstring states its claim, and is printed with the result:

    ok    a closed port is refused by the server, not by the gateway (0.9 s)
    skip  BIG TCP: frames of more than 64 KiB ...: this kernel has no BIG TCP
    FAIL  the first line of a run names the hook ... (tests/netns/test_coexistence.py::test_names_hook)

tests/run parses the last line, "N passed, N failed".
"""
import collections
import inspect
import os
import signal

import pytest

INTERRUPTED = 130  # 128 + SIGINT, as in a shell


def pytest_addoption(parser):
    parser.addoption('--keep', metavar='FOLDER', type=os.path.abspath,
                     help='test_html and causes: keep pages, screenshots and reports in this folder')
    parser.addoption('--jobs', metavar='N', type=int, default=8, help='causes: number of concurrent scenes (default 8)')


def pytest_configure(config):
    if config.getoption('--keep'):
        os.makedirs(config.getoption('--keep'), exist_ok=True)
    config.pluginmanager.register(Results(config))
    # A shell that starts the tests in the background makes them ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # On SIGTERM, leave the with blocks, which end the processes that a test has started.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit('terminated', 128 + signal.SIGTERM))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    report.claim = ' '.join((inspect.getdoc(item.obj) or item.name).split())
    report.details, report.seconds = getattr(item, 'details', ()), getattr(item, 'seconds', None)


@pytest.hookimpl(hookwrapper=True)
def pytest_report_teststatus():
    """Suppresses pytest's dots and letters: Results prints the results."""
    outcome = yield
    outcome.force_result((outcome.get_result()[0], '', ''))


class Results:
    """Prints a line for each test at its end, and the totals."""

    def __init__(self, config):
        self.config, self.interrupted = config, False
        self.counts = collections.Counter()
        self.reports = []  # for the phases of the current test

    def pytest_runtest_logreport(self, report):
        self.reports.append(report)
        if report.when != 'teardown':
            return
        reports, self.reports = self.reports, []
        seconds = report.seconds or sum(r.duration for r in reports)
        outcome = next((o for o in ('failed', 'skipped') if any(r.outcome == o for r in reports)), 'passed')
        self.counts[outcome] += 1
        if outcome == 'failed':
            line = 'FAIL  %s (%s)' % (report.claim, report.nodeid)
        elif outcome == 'skipped':
            reason = next(r.longrepr[2] for r in reports if r.skipped)
            line = 'skip  %s: %s' % (report.claim, reason.removeprefix('Skipped: '))
        else:
            line = 'ok    %s (%.1f s)' % (report.claim, seconds)
        print('\n'.join([line] + ['      ' + detail for detail in report.details]), flush=True)

    def pytest_collectreport(self, report):
        self.counts['failed'] += report.failed

    def pytest_keyboard_interrupt(self, excinfo):
        self.interrupted = excinfo.type is KeyboardInterrupt

    def pytest_sessionfinish(self, session):
        if self.interrupted:
            session.exitstatus = INTERRUPTED

    def pytest_unconfigure(self):
        print('pytest: %d passed, %d failed' % (self.counts['passed'], self.counts['failed']), flush=True)
