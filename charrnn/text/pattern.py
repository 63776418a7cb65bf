r"""Regular expressions as automata over an alphabet, with the meaning of Python's `re`.

`re` itself parses a pattern and says which characters each class, such as \w or [^,], matches. So
flags and Unicode are those of re.fullmatch. The libraries that build automata differ: \w, \d and \s
are ASCII in interegular and greenery; regex-automata, on which outlines-core is based, has another
\w and another $; and none of them bounds the time or the size of an automaton.
"""

import re
import warnings
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from charrnn.arrays import Ids, Mask
from charrnn.errors import UsageError
from charrnn.text.blocks import code_points

FAR = 1 << 30  # distance to the end of a match from where there is none
CODE_POINTS = 0x110000  # number of code points in Unicode
MAX_NODES = 20_000  # maximum characters of a pattern whose repeats are written out (not tuned)
MAX_STATES = 10_000  # maximum states of an automaton (not tuned)
MAX_WORK = 2_000_000  # maximum nodes visited while building one: about two seconds (not tuned)
CHARACTERS_PER_NODE = 20  # characters tested for a class in the time of a visited node
SUPPORTED = "write it with characters, classes, groups, |, repeats, flags, and anchors at its ends"
# What cannot be expressed by an automaton, or only by a large one, by the name that `re` gives it.
UNSUPPORTED = {
    "ASSERT": "look-around",
    "ASSERT_NOT": "look-around",
    "FAILURE": "look-around",
    "GROUPREF": "back-references",
    "GROUPREF_IGNORE": "back-references",
    "GROUPREF_EXISTS": "conditional groups",
    "ATOMIC_GROUP": "atomic groups",
    "POSSESSIVE_REPEAT": "possessive repeats",
    "AT_BOUNDARY": r"\b",
    "AT_NON_BOUNDARY": r"\B",
}
# How many characters may follow an anchor, besides a line end that $ allows; ANY for no anchor.
ANY, LINE_END, NONE = 2, 1, 0
ANCHORS = {"AT_END": LINE_END, "AT_END_STRING": NONE}
BEGINNINGS = ("AT_BEGINNING", "AT_BEGINNING_STRING")


class Automaton(NamedTuple):
    """A deterministic automaton; it starts in state 0.

    Attributes:
        classes: the class of each code point, int32 [CODE_POINTS]; characters of a class lead to
            the same states. Those outside the alphabet are of class C-1.
        table: the state after a character of each class in each state, int32 [S, C]. State S-1 is
            final: from there, no text matches.
        distance: characters of the shortest text that leads to a match from each state, int32 [S];
            0 where the text read so far matches, FAR where there is no such text.
    """

    classes: Ids
    table: Ids
    distance: Ids


def automaton(pattern: str, alphabet: Ids) -> Automaton:
    """Return the automaton of the texts over an alphabet that match a whole pattern.

    Args:
        pattern: a regular expression of Python's `re`.
        alphabet: code points, sorted, int32 [A].

    Raises:
        UsageError: the pattern is invalid, uses what an automaton cannot express, or its automaton
            would be too large.
    """
    nodes = _Nodes(pattern, alphabet)
    classes, members = _partition(nodes.sets, alphabet)
    table, accepts = _deterministic(nodes, members)
    dead = len(table)
    table = np.append(table, np.full((1, members.shape[1]), dead, np.int32), axis=0)
    table[table < 0] = dead
    distance = np.full(dead + 1, FAR, np.int32)
    distance[:dead][accepts] = 0
    while True:
        nearer = np.minimum(distance, distance[table].min(axis=1) + 1)
        nearer[dead] = FAR
        if (nearer >= distance).all():
            return Automaton(classes, table, distance)
        distance = nearer.astype(np.int32)


# A node, and what may follow: ANY, LINE_END or NONE.
Place = tuple[int, int]


class _Nodes:
    r"""A nondeterministic automaton (Thompson 1968, doi:10.1145/363347.363387).

    Args:
        pattern: see `automaton`.
        alphabet: see `automaton`.

    Attributes:
        sets: the sets of characters that lead on, as code points, int32 [N] each.
        line_end: index of the set of "\n".
        free: for each node, the nodes reached without a character, each with what may follow (ANY,
            LINE_END, NONE), or -1 if only at the beginning of the text.
        leads: for each node, the set that leads on and the next node; None if there is none.
        start: the first node. Node 0 is the end.
    """

    def __init__(self, pattern: str, alphabet: Ids) -> None:
        # Modules of the standard library without type annotations.
        self._parser: Any = import_module("re._parser")
        self._compiler: Any = import_module("re._compiler")
        self._alphabet = alphabet
        self._text = alphabet.astype("<u4").tobytes().decode("utf-32-le")
        self._known: dict[tuple[str, int], int] = {}
        self._reached: dict[Place, frozenset[Place]] = {}
        self.sets: list[Ids] = []
        self._work = 0
        self.free: list[list[tuple[int, int]]] = [[]]
        self.leads: list[tuple[int, int] | None] = [None]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = self._parser.parse(pattern)
                self.line_end = self._set(self._parser.parse(r"\n")[0], 0)
                self.start = self._sequence(tree, tree.state.flags, 0)
        except RecursionError:
            raise _too_complex() from None
        except (re.error, ValueError, OverflowError) as error:
            raise UsageError(
                f"match is not a regular expression: {error}", "see Python's re", ["match"]
            ) from None

    def _count(self, work: int) -> None:
        """Count nodes that are visited, or as much work, and raise an error if it is too much."""
        self._work += work
        if self._work > MAX_WORK:
            raise _too_complex()

    def _node(
        self, free: Sequence[tuple[int, int]] = (), leads: tuple[int, int] | None = None
    ) -> int:
        if len(self.free) == MAX_NODES:
            raise _too_complex()
        self.free.append([*free])
        self.leads.append(leads)
        return len(self.free) - 1

    def _sequence(self, items: Iterable[Any], flags: int, end: int) -> int:
        """Return a node from which the items lead to the node `end`."""
        for item in reversed([*items]):
            end = self._item(item, flags, end)
        return end

    def _item(self, item: Any, flags: int, end: int) -> int:
        kind, value = str(item[0]), item[1]
        match kind:
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                return self._node(leads=(self._set(item, flags), end))
            case "BRANCH":
                return self._node([(self._sequence(each, flags, end), ANY) for each in value[1]])
            case "SUBPATTERN":
                _, added, removed, items = value
                if added & self._parser.TYPE_FLAGS:  # (?a:...) replaces (?u), as in `re`
                    flags &= ~self._parser.TYPE_FLAGS
                return self._sequence(items, (flags | added) & ~removed, end)
            case "MAX_REPEAT" | "MIN_REPEAT":
                return self._repeat(value, flags, end)
            case "AT":
                kind = str(value)
                if kind in BEGINNINGS and not (flags & re.MULTILINE and kind == BEGINNINGS[0]):
                    return self._node([(end, -1)])
                if kind in ANCHORS and not (flags & re.MULTILINE and kind == "AT_END"):
                    return self._node([(end, ANCHORS[kind])])
        what = UNSUPPORTED.get(kind, "anchors inside the text")
        raise UsageError(f"match does not support {what}", SUPPORTED, ["match"])

    def _repeat(self, value: Any, flags: int, end: int) -> int:
        least, most, items = value
        if most == self._parser.MAXREPEAT:
            again = start = self._node([(end, ANY)])
            self.free[again].append((self._sequence(items, flags, again), ANY))
        else:
            start = end
            for _ in range(most - least):
                start = self._node([(self._sequence(items, flags, start), ANY), (end, ANY)])
        for _ in range(least):
            before = self._sequence(items, flags, start)
            if before == start:  # nothing is repeated
                break
            start = before
        return start

    def _set(self, item: Any, flags: int) -> int:
        """Return the index of the set of characters that an item matches."""
        # Flags other than these do not change what a single character matches.
        key = repr(item), flags & (re.ASCII | re.IGNORECASE | re.DOTALL)
        if key not in self._known:
            self._known[key] = len(self.sets)
            self.sets.append(self._characters(item, flags))
        return self._known[key]

    def _characters(self, item: Any, flags: int) -> Ids:
        if str(item[0]) == "LITERAL" and not flags & re.IGNORECASE:
            at = int(self._alphabet.searchsorted(item[1]))
            found = self._alphabet[at : at + 1]
            return found if item[1] in found else found[:0]
        self._count(len(self._alphabet) // CHARACTERS_PER_NODE)
        state = self._parser.State()
        state.flags, state.str = flags, ""
        single = self._compiler.compile(self._parser.SubPattern(state, [item]))
        return code_points("".join(single.findall(self._text)))

    def reach(self, place: Place, begins: bool = False) -> frozenset[Place]:
        """Return what is reached without a character: the nodes that lead on, and the end.

        Args:
            place: where to start.
            begins: whether this is the beginning of the text.
        """
        if not begins and place in self._reached:
            return self._reached[place]
        found = {place}
        waiting = [place]
        while waiting:
            node, follows = waiting.pop()
            for target, allowed in self.free[node]:
                after = target, follows if allowed < 0 else min(follows, allowed)
                if (allowed >= 0 or begins) and after not in found:
                    found.add(after)
                    waiting.append(after)
        self._count(len(found))
        kept = frozenset(each for each in found if self.leads[each[0]] or not each[0])
        if not begins:
            self._reached[place] = kept
        return kept

    def after(self, places: Iterable[Place], of_set: Sequence[list[int]]) -> dict[int, set[Place]]:
        """Return what is reached from some places with a character of each class.

        Args:
            places: nodes that lead on, and the end.
            of_set: the classes of each set.
        """
        after: dict[int, set[Place]] = {}
        for node, follows in places:
            lead = self.leads[node]
            if lead is None or follows == NONE:
                continue
            own = self.reach((lead[1], ANY if follows == ANY else NONE))
            for each in of_set[lead[0]]:
                if follows == ANY or each in of_set[self.line_end]:
                    after.setdefault(each, set()).update(own)
                    self._count(len(own) + 1)
        return after


def _too_complex() -> UsageError:
    return UsageError("match is too complex", "use fewer or smaller repeats", ["match"])


def _partition(sets: Sequence[Ids], alphabet: Ids) -> tuple[Ids, Mask]:
    """Divide the characters into classes, such that each set consists of whole classes.

    Returns:
        The class of each code point, int32 [CODE_POINTS], and whether each class (column) is in
        each set, bool [N, C].
    """
    classes = np.zeros(CODE_POINTS, np.int32)
    count = 1
    for characters in sets:
        parts, divided = np.unique(classes[characters], return_inverse=True)
        classes[characters] = count + divided
        count += len(parts)
    used, numbers = np.unique(classes[alphabet], return_inverse=True)
    classes[:] = len(used)
    classes[alphabet] = numbers
    members = np.zeros((len(sets), len(used) + 1), bool)
    for row, characters in zip(members, sets, strict=True):
        row[classes[characters]] = True
    return classes, members


def _deterministic(nodes: _Nodes, members: Mask) -> tuple[Ids, Mask]:
    """Return the deterministic automaton whose states are sets of places.

    Args:
        nodes: the nondeterministic automaton.
        members: whether each class (column) is in each set, bool [N, C].

    Returns:
        The state after each class in each state, -1 for none, int32 [S, C], and whether the text
        read so far matches, bool [S].
    """
    of_set = [np.flatnonzero(row).tolist() for row in members]
    states = [nodes.reach((nodes.start, ANY), begins=True)]
    numbers = {states[0]: 0}
    table: list[list[int]] = []
    for state in states:  # more are appended
        row = [-1] * members.shape[1]
        for each, places in nodes.after(state, of_set).items():
            after = frozenset(places)
            if after not in numbers:
                numbers[after] = len(states)
                states.append(after)
            row[each] = numbers[after]
        table.append(row)
        if len(states) > MAX_STATES:
            raise _too_complex()
    return np.array(table, np.int32), np.array([any(not n for n, _ in each) for each in states])
