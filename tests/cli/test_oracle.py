"""--read of real captures, compared with an independent analyser (the oracle): see lib/oracle_compare.py.

If this fails, the report contains stalls and failures that are not in the packets, or misses some that are.
"""
import os

import pytest

import oracle_compare
from probe import PROBE, ROOT, expect

ORACLE = os.path.join(ROOT, '..', 'shared', 'captures')


def test_every_record():
    """every record of every capture agrees with the oracle: outcome, counts, and times to the nanosecond"""
    if not os.path.isdir(ORACLE):
        pytest.skip('this checkout does not contain the captures')
    differences = oracle_compare.compare(PROBE, ORACLE)
    expect(differences == 0, differences, 'differences: see the table above')
