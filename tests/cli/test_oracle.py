"""--read of real captures, compared with an independent analyser (the oracle): see lib/oracle_compare.py.

If this fails, the user is told of stalls and failures that were not in the packets, or not told of some that were.
"""
import os

import pytest

import oracle_compare
from probe import PROBE, ROOT, expect

ORACLE = os.path.join(ROOT, '..', 'shared', 'captures')


def test_every_record():
    """every record of every capture agrees with the oracle: outcome, counts, and times to the nanosecond"""
    if not os.path.isdir(ORACLE):
        pytest.skip('the captures are not part of this checkout')
    differences = oracle_compare.compare(PROBE, ORACLE)
    expect(differences == 0, differences, 'differences: see the table above')
