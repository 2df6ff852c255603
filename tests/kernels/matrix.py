#!/usr/bin/env python3
"""Prints the results of tests/kernels/run as tables, with a column for each kernel, hook and compiler.

Standard input has "cell TABLE|ROW|GROUP|COLUMN|VALUE" lines in the order of the output; other lines are skipped.
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
        for group in groups:  # the columns of a group are at least as wide as its name
            own = [(group, column) for column in groups[group]]
            while sum(width[c] + 2 for c in own) - 2 < len(group):
                width[min(own, key=width.get)] += 1
        first = max(map(len, [table, *rows]))

        def line(name, values):
            text = '%-*s' % (first, name)
            for group, column in columns:
                text += '   ' if column == next(iter(groups[group])) else '  '
                text += '%*s' % (width[group, column], values.get((group, column), '-'))
            print(text)

        print('\n%-*s' % (first, table) + ''.join(
            '   %-*s' % (sum(width[group, c] + 2 for c in groups[group]) - 2, group) for group in groups))
        line('', {c: c[1] for c in columns})
        for row, cells in rows.items():
            line(row, cells)


if __name__ == '__main__':
    main()
