"""What nodes shall get: configurations, campaigns and commands, from the database to the broker.

Nothing is remembered here. Every step compares what is wanted with what nodes last said, and sends what is behind; so a
restart, a lost retained message or a broker with a new disk all heal by themselves. A node takes each only once.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from fleet.bus import Message
from fleet.errors import TimedOutError
from fleet.model import DesiredConfig
from fleet.store import Store
from fleet.store.campaigns import Undelivered as UndeliveredCampaign
from fleet.store.commands import CommandView
from fleet.store.configs import Undelivered
from protocol import topics
from protocol.messages import Command, Config

CONFIG_GRACE_MS = 10_000  # a State that was on its way when the configuration was sent says nothing about it
COMMAND_AGAIN_MS = 30_000  # first repetition, of campaigns too; each further one waits twice as long
_DOUBLINGS = 7  # the longest pause is about an hour

AT_ONCE = 256  # messages that are on their way together, and noted together

Publish = Callable[[Sequence[Message]], list[int]]  # returns the places of those that the broker has
Item = tuple[str, int, Message]  # node, counter or revision


def is_config_due(item: Undelivered) -> bool:
    """The broker lacks it, or its node said later that it still has an older one."""
    if item.sent_rev < item.config.rev:
        return True
    return item.online and item.said_ms > item.sent_ms + CONFIG_GRACE_MS


def is_campaign_due(item: UndeliveredCampaign, now_ms: int) -> bool:
    """The broker lacks it, or its node is there and has said nothing of it for a while: one that lost its power before
    it kept the order. The pauses grow: a node may refuse it."""
    if item.sent_counter < item.order.counter:
        return True
    return item.online and now_ms - item.sent_ms >= _pause_ms(item.sent)


def is_command_due(command: CommandView, now_ms: int) -> bool:
    """It was never sent, or so long ago that it may have been lost."""
    return command.sent_ms is None or now_ms - command.sent_ms >= _pause_ms(command.sent)


def _pause_ms(sent: int) -> int:
    """How long to wait after what was sent so often."""
    return COMMAND_AGAIN_MS << min(max(sent - 1, 0), _DOUBLINGS)


def config_message(desired: DesiredConfig) -> bytes:
    """The payload of down/config."""
    values = dict(desired.values)
    message = Config(rev=desired.rev, values=values, issued=desired.issued_s, probation_s=desired.probation_s)
    return message.encode()


def command_message(command: CommandView) -> bytes:
    """The payload of down/cmd."""
    message = Command(
        id=bytes.fromhex(command.id),
        name=command.name,
        args=dict(command.args),
        issued=command.issued_s,
        expires=command.expires_s,
        actor=command.actor,
    )
    return message.encode()


class Deliver:
    """Call `step` every second or so. Errors of `publish` and of the store end a step; the next one begins anew.

    Orders of one kind are on their way together, AT_ONCE of them; what the broker took is noted in one transaction. A
    crash in between sends them once more, the same bytes, which a node takes only once.
    """

    def __init__(
        self, store: Store, publish: Publish, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._store = store
        self._publish = publish
        self._now_ms = now_ms
        self.configs = 0  # sent
        self.campaigns = 0  # sent, repetitions included
        self.commands = 0  # sent, repetitions included
        self.expired = 0

    def step(self) -> None:
        """Send what is behind."""
        self.expired += self._store.commands.expire(self._now_ms() // 1000)
        configs = filter(is_config_due, self._store.configs.undelivered())
        for count in self._send(map(_config_item, configs), self._store.configs.sent):
            self.configs += count
        for count in self._send(map(_campaign_item, self._campaigns()), self._store.campaigns.sent):
            self.campaigns += count
        for command in self._store.commands.unanswered():
            if is_command_due(command, self._now_ms()):
                if not self._publish([Message(topics.down(command.node, "cmd"), command_message(command))]):
                    raise TimedOutError(f"the broker does not acknowledge a command to {command.node}")
                self._store.commands.sent(command.id, self._now_ms())
                self.commands += 1

    def _campaigns(self) -> list[UndeliveredCampaign]:
        """Those that are due, and that nobody has halted since."""
        now_ms, epoch = self._now_ms(), self._store.rollouts.epoch()
        halted = epoch.halted if epoch else {}
        behind = self._store.campaigns.undelivered(now_ms // 1000)
        return [one for one in behind if one.order.group not in halted and is_campaign_due(one, now_ms)]

    def _send(self, items: Iterator[Item], sent: Callable[[list[tuple[str, int, int]]], None]) -> Iterator[int]:
        """Publish all, a batch at a time, and note what the broker took: how many. TimedOutError when it left some."""
        while batch := list(islice(items, AT_ONCE)):
            taken = self._publish([message for _, _, message in batch])
            now_ms = self._now_ms()
            sent([(batch[place][0], batch[place][1], now_ms) for place in taken])
            yield len(taken)
            if len(taken) < len(batch):
                raise TimedOutError(f"the broker does not acknowledge {len(batch) - len(taken)} orders to nodes")


def _config_item(item: Undelivered) -> Item:
    wanted = item.config
    return wanted.node, wanted.rev, Message(topics.down(wanted.node, "config"), config_message(wanted), True)


def _campaign_item(item: UndeliveredCampaign) -> Item:
    order = item.order
    return order.node, order.counter, Message(topics.down(order.node, "ota"), order.envelope, True)
