"""P3 and LTGA in plain Python, on lists of bits: what the packed forms are tested against and compared with in speed.

They draw through an object, so that a test can give them the draws of the packed forms, and a benchmark Python's own.
"""

import math
import random

SCALE = 2.0**32


class PythonDraws:
    """The draws of Python's own generator."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def bits(self, length):
        return [self.random.getrandbits(1) for _ in range(length)]

    def order(self, n):
        return self.random.sample(range(n), n)

    def donors(self, n, count):
        return [self.random.randrange(n) for _ in range(count)]

    def different(self, n, differs):
        """One of n donors for which *differs* is true, or None."""
        left = list(range(n))
        while left:
            place = self.random.randrange(len(left))
            left[place], left[-1] = left[-1], left[place]
            donor = left.pop()
            if differs(donor):
                return donor
        return None


class FoundError(Exception):
    """The target or the limit of evaluations is reached."""


class Counted:
    """A fitness function of a list of bits that counts, and that ends the search at the target or the limit."""

    def __init__(self, function, target, limit=math.inf):
        self.function, self.target, self.limit = function, target, limit
        self.evaluations = 0

    def __call__(self, bits):
        value = self.function(bits)
        self.evaluations += 1
        if value >= self.target or self.evaluations >= self.limit:
            raise FoundError
        return value


class Counts:
    """How often each value of each pair of bits occurs in the solutions that were added."""

    def __init__(self, length):
        self.length, self.n = length, 0
        self.ones = [0] * length
        self.both = [[0] * length for _ in range(length)]

    def add(self, bits):
        self.n += 1
        ones = [i for i, bit in enumerate(bits) if bit]
        for place, i in enumerate(ones):
            self.ones[i] += 1
            row = self.both[i]
            for j in ones[:place]:
                row[j] += 1

    def distances(self):
        part = [0.0] + [k * math.log2(k) for k in range(1, self.n + 1)]
        single = [part[self.n] - (part[k] + part[self.n - k]) for k in self.ones]
        table = [[0] * self.length for _ in range(self.length)]
        for i in range(self.length):
            a = self.ones[i]
            for j in range(i):
                both, b = self.both[i][j], self.ones[j]
                apart = part[a - both] + part[b - both]
                joint = part[self.n] - ((part[both] + part[self.n - a - b + both]) + apart)
                if joint > 0:
                    value = round((2 - (single[i] + single[j]) / joint) * SCALE)
                    table[i][j] = table[j][i] = min(max(value, 0), int(SCALE))
        return table


def linkage_tree(distances, draws):
    """The useful clusters of UPGMA: (height, bits), in the order in which they are made."""
    n = len(distances)
    bits = draws.order(n)
    made = [(0.0, [bit]) for bit in bits]
    useful = [True] * n
    sums = [[distances[i][j] for j in bits] for i in bits]
    nodes = list(range(n))
    while len(nodes) > 1:
        sizes = [len(made[node][1]) for node in nodes]
        nearest = []
        for i, row in enumerate(sums):
            best, at = math.inf, -1
            for j, total in enumerate(row):
                if j != i and total / (sizes[i] * sizes[j]) < best:
                    best, at = total / (sizes[i] * sizes[j]), j
            nearest.append(at)
        gone = set()
        pairs = [(i, j) for i, j in enumerate(nearest) if nearest[j] == i and i < j]
        for i, j in pairs:
            made.append((sums[i][j] / (sizes[i] * sizes[j]), made[nodes[i]][1] + made[nodes[j]][1]))
            useful.append(True)
            if sums[i][j] == 0:
                useful[nodes[i]] = useful[nodes[j]] = False
            gone.add(j)
        for new, (i, _) in enumerate(pairs):
            nodes[i] = len(made) - len(pairs) + new
        for i, j in pairs:
            sums[i] = [a + b for a, b in zip(sums[i], sums[j], strict=True)]
        for row in sums:
            for i, j in pairs:
                row[i] += row[j]
        left = [i for i in range(len(nodes)) if i not in gone]
        nodes = [nodes[i] for i in left]
        sums = [[sums[i][j] for j in left] for i in left]
    return [cluster for cluster, keep in list(zip(made, useful, strict=True))[:-1] if keep]


def climb(bits, fitness, evaluate, draws):
    """First-improvement hill climbing; changes *bits* and returns its fitness."""
    tried, improved = set(), True
    while improved:
        improved = False
        for bit in draws.order(len(bits)):
            if bit in tried:
                continue
            bits[bit] ^= 1
            value = evaluate(bits)
            if value > fitness:
                fitness, improved, tried = value, True, set()
            else:
                bits[bit] ^= 1
            tried.add(bit)
    return fitness


def donate(bits, fitness, donor, cluster, evaluate):
    """Copy the cluster's bits of *donor* unless that is worse; changes *bits* and returns its fitness."""
    before = [bits[i] for i in cluster]
    for i in cluster:
        bits[i] = donor[i]
    value = evaluate(bits)
    if value >= fitness:
        return value
    for i, bit in zip(cluster, before, strict=True):
        bits[i] = bit
    return fitness


class Level:
    def __init__(self, length):
        self.solutions, self.counts, self.clusters = [], Counts(length), []

    def add(self, bits, draws):
        self.solutions.append(bits)
        self.counts.add(bits)
        tree = linkage_tree(self.counts.distances(), draws)
        order = draws.order(len(tree))
        self.clusters = sorted((tree[i][1] for i in order), key=len)


def p3(evaluate, start, draws):
    """Run P3 from the bits *start* until *evaluate* raises FoundError; return the levels."""
    levels, seen, length, bits = [], set(), len(start), list(start)

    def add(bits, height):
        if tuple(bits) in seen:
            return
        seen.add(tuple(bits))
        if height == len(levels):
            levels.append(Level(length))
        levels[height].add(list(bits), draws)

    try:
        while True:
            fitness = climb(bits, evaluate(bits), evaluate, draws)
            add(bits, 0)
            height = 0
            while height < len(levels):
                before, level = fitness, levels[height]
                for cluster in level.clusters:
                    donors = level.solutions

                    def differs(row, donors=donors, cluster=cluster, bits=bits):
                        return any(donors[row][i] != bits[i] for i in cluster)

                    row = draws.different(len(donors), differs)
                    if row is not None:
                        fitness = donate(bits, fitness, donors[row], cluster, evaluate)
                height += 1
                if fitness > before:
                    add(bits, height)
            bits = draws.bits(length)
    except FoundError:
        return levels


def ltga(evaluate, start, draws, generations=math.inf):
    """Run LTGA on the lists of bits *start*; return solutions and fitness.

    Ends after *generations*, if no solution is new, and if *evaluate* raises FoundError.
    """
    solutions, n = [list(bits) for bits in start], len(start)
    fitness = [evaluate(bits) for bits in solutions]
    while generations > 0:
        generations -= 1
        order = draws.order(n)
        counts = Counts(len(solutions[0]))
        half = n // 2
        for i in range(n - half):
            one = order[i] if i < half else None
            other = order[half + i]
            counts.add(solutions[other if one is None or fitness[one] < fitness[other] else one])
        tree = linkage_tree(counts.distances(), draws)
        clusters = [tree[i] for i in draws.order(len(tree))]
        clusters.sort(key=lambda cluster: (-cluster[0], -len(cluster[1])))
        donors = [list(bits) for bits in solutions]
        for _, cluster in clusters:
            for row, donor in enumerate(draws.donors(n, n)):
                if any(donors[donor][i] != solutions[row][i] for i in cluster):
                    fitness[row] = donate(solutions[row], fitness[row], donors[donor], cluster, evaluate)
        if set(map(tuple, solutions)) == set(map(tuple, donors)):
            break
    return solutions, fitness
