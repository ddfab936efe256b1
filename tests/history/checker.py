"""Decides whether a history of operations is linearizable: whether each can be thought to have happened at one moment
between its call and its return, all one after the other, so that a model gives the very replies that were seen.

Entry: Operation, check. The search is that of Wing and Gong with Lowe's memory: operations are taken in an order that
real time allows; what has been taken, with the state it led to, is remembered and not tried again. An operation that
only reads is never put back: where its answer fits, taking it at once cannot be worse than later.
"""
from dataclasses import dataclass, field


@dataclass
class Operation:
    """One command of one client. `call` is before its first byte was sent, `back` after its last byte came."""
    client: int
    name: str
    arguments: tuple
    result: object
    call: float
    back: float
    number: int = field(default=-1, compare=False)

    def __str__(self):
        text = repr(self.result)
        return (f"{self.call * 1e3:9.3f} to {self.back * 1e3:9.3f} ms  client {self.client}: {self.name} "
                f"{' '.join(map(str, self.arguments))} -> {text if len(text) < 120 else text[:120] + '…'}")


class NotLinearizable(AssertionError):
    """No order explains the history."""


class _Event:
    """A call or a return in the list that the search walks; a call knows its return."""
    __slots__ = ("operation", "returns", "before", "after")

    def __init__(self, operation, returns):
        self.operation, self.returns = operation, returns
        self.before = self.after = None

    def unlink(self):
        self.before.after = self.after
        if self.after:
            self.after.before = self.before

    def relink(self):
        self.before.after = self
        if self.after:
            self.after.before = self


def _events(history):
    """All calls and returns by time, behind a head. At the same time calls come first: they overlap."""
    moments = []
    for operation in history:
        back = _Event(operation, None)
        moments += [(operation.call, 0, operation.number, _Event(operation, back)), (operation.back, 1, operation.number, back)]
    head = last = _Event(None, None)
    for *_, event in sorted(moments, key=lambda moment: moment[:3]):
        last.after, event.before = event, last
        last = event
    return head


def check(history, model, state):
    """Returns the operations in an order that explains them; raises NotLinearizable.

    `model.apply(state, operation)` is the state after it, or None when the reply could not have been this one;
    `model.reads(operation)`: whether it never changes anything. States can be hashed.
    """
    for number, operation in enumerate(history):
        operation.number = number
    head = _events(history)
    taken, seen, order, longest = 0, set(), [], []
    event = head.after
    while head.after:
        if event.returns is None:  # this operation returned: it had to be taken before
            if len(order) > len(longest):
                longest = [entry[0].operation for entry in order]
            event, taken, state = _put_back(order, taken, state, model)
            if event is None:
                raise NotLinearizable(_explain(history, longest))
            continue
        after = model.apply(state, event.operation)
        if after is not None:
            key = (taken | 1 << event.operation.number, after)
            if key not in seen:
                seen.add(key)
                order.append((event, state))
                taken, state = key
                event.returns.unlink()
                event.unlink()
                event = head.after
                continue
        event = event.after
    return [entry[0].operation for entry in order]


def _put_back(order, taken, state, model):
    """Undoes the last choice that had another one; the event behind it is where the search goes on."""
    while order:
        event, state = order.pop()
        taken &= ~(1 << event.operation.number)
        event.relink()
        event.returns.relink()
        if not model.reads(event.operation):
            return event.after, taken, state
    return None, taken, state


def _explain(history, longest):
    """What could be explained at most, and what could not come next."""
    known = {operation.number for operation in longest}
    missing = sorted((one for one in history if one.number not in known), key=lambda one: one.back)
    open_now = [one for one in missing if one.call <= missing[0].back]
    lines = ["no order explains the history. At most these can be put into one (the last ten of "
             f"{len(longest)}):", *map(str, longest[-10:]), "and then none of these:", *map(str, open_now[:12])]
    return "\n".join(lines)
