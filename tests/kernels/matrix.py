#!/usr/bin/env python3
"""The results of tests/kernels/run as tables, a column for each kernel, hook and compiler.

Standard input: "cell TABLE|ROW|GROUP|COLUMN|VALUE" lines in the order in which they are to be seen; others are skipped.
"""
import sys


def main():
    tables = {}
    for line in sys.stdin:
        if line.startswith('cell '):
            table, row, group, column, value = line[5:].rstrip('\n').split('|')
            rows, groups = tables.setdefault(table, ({}, {}))
            rows.setdefault(row, {})[group, column] = value
            groups.setdefault(group, {})[column] = True
    for table, (rows, groups) in tables.items():
        columns = [(group, column) for group in groups for column in groups[group]]
        width = {c: max([len(c[1])] + [len(cells.get(c, '')) for cells in rows.values()]) for c in columns}
        for group in groups:  # a group's columns are as wide together as its name
            last = (group, list(groups[group])[-1])
            width[last] += max(0, len(group) - sum(width[group, c] + 2 for c in groups[group]) + 2)
        first = max(map(len, [table, *rows]))
        print('\n%-*s' % (first, table), end='')
        for group in groups:
            print('   %-*s' % (sum(width[group, c] + 2 for c in groups[group]) - 2, group), end='')
        print('\n%-*s' % (first, ''), end='')
        for group, column in columns:
            print('%s%*s' % ('   ' if column == next(iter(groups[group])) else '  ', width[group, column], column), end='')
        print()
        for row, cells in rows.items():
            print('%-*s' % (first, row), end='')
            for group, column in columns:
                print('%s%*s' % ('   ' if column == next(iter(groups[group])) else '  ', width[group, column],
                                 cells.get((group, column), '-')), end='')
            print()


if __name__ == '__main__':
    main()
