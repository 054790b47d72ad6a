"""Storage commitment (PS3.4, annex J): asking a node to confirm that it keeps instances, and its reports."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import build_context, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from cardiacseg.errors import NetworkError
from cardiacseg.network.instances import Instance
from cardiacseg.network.peer import NotOfferedError, Requestor

LOGGER = logging.getLogger("cardiacseg.network")
_ASK = 1  # action type of N-ACTION
_SAME_ASSOCIATION_S = 1.0  # some nodes report before the association ends; others need it to end first
_MOST_UNANSWERED = 3


@dataclass
class _Transaction:
    """The instances that were asked for, and those that the node does not keep: ``None`` until its report comes."""

    uids: frozenset[str]
    failed: frozenset[str] | None = None


class Commitments:
    """What was asked of a node, and what it has reported over any association. Thread-safe."""

    def __init__(self):
        self._changed = threading.Condition()
        self._transactions: dict[str, _Transaction] = {}
        self._kept: set[str] = set()
        self._times: Counter[frozenset[str]] = Counter()

    def ask(self, uids: frozenset[str]) -> str:
        """The UID of a new transaction; of earlier ones for the same instances, reports to the last two still count."""
        with self._changed:
            for earlier in self._about(uids)[: 1 - _MOST_UNANSWERED]:
                del self._transactions[earlier]
            transaction = generate_uid()
            self._transactions[transaction] = _Transaction(uids)
            return transaction

    def _about(self, uids: frozenset[str]) -> list[str]:
        return [uid for uid, transaction in self._transactions.items() if transaction.uids == uids]

    def count(self, uids: frozenset[str]) -> None:
        """One more attempt to ask for these."""
        with self._changed:
            self._times[uids] += 1

    def on_report(self, event: evt.Event) -> tuple[int, None]:
        """Handles an N-EVENT-REPORT."""
        report = event.event_information
        with self._changed:
            transaction = self._transactions.get(str(report.get("TransactionUID", "")))
            if transaction is None or transaction.failed is not None:  # asked before a restart, or reported twice
                LOGGER.info("a storage commitment was reported that nobody waits for")
                return 0, None
            kept = transaction.uids & _uids(report, "ReferencedSOPSequence")
            self._kept |= kept
            transaction.failed = transaction.uids - kept
            self._changed.notify_all()
        return 0, None

    def wait(self, transaction: str, seconds: float) -> bool:
        """Whether the transaction was reported in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._transactions[transaction].failed is not None, seconds)

    def kept(self, uids: frozenset[str]) -> bool:
        """Whether reports say that the node keeps all of these."""
        with self._changed:
            return uids <= self._kept

    def take_failed(self, transaction: str) -> frozenset[str]:
        """The instances that the node does not keep, as its report says."""
        with self._changed:
            return self._transactions.pop(transaction).failed or frozenset()

    def times_asked(self, uids: frozenset[str]) -> int:
        with self._changed:
            return self._times[uids]

    def forget(self, uids: frozenset[str]) -> None:
        """These are done."""
        with self._changed:
            self._kept -= uids
            self._times.pop(uids, None)
            for transaction in self._about(uids):
                del self._transactions[transaction]


def _uids(report: Dataset, sequence: str) -> set[str]:
    return {str(item.get("ReferencedSOPInstanceUID", "")) for item in report.get(sequence) or ()}


def commit(
    instances: Sequence[Instance],
    requestor: Requestor,
    commitments: Commitments,
    required: bool,
    wait_s: float,
    resend: Callable[[Sequence[Instance]], None],
) -> None:
    """Return if the peer confirms that it keeps the instances; those that it does not keep are sent again once.

    If it does not offer this service, or has not reported after three attempts, that is enough unless ``required``.
    Raises ``NetworkError`` otherwise.
    """
    uids = frozenset(instance.sop_instance_uid for instance in instances)
    failed = _not_kept(instances, uids, requestor, commitments, required, wait_s)
    if failed:
        resend([instance for instance in instances if instance.sop_instance_uid in failed])
        failed = _not_kept(instances, uids, requestor, commitments, required, wait_s)
    if failed:
        raise _all_stored(f"{requestor.peer} does not keep {len(failed)} of {len(uids)} files", instances)
    commitments.forget(uids)


def _not_kept(
    instances: Sequence[Instance],
    uids: frozenset[str],
    requestor: Requestor,
    commitments: Commitments,
    required: bool,
    wait_s: float,
) -> frozenset[str]:
    """The instances that the peer reports not to keep; none if its status of C-STORE is to count."""
    try:
        return _ask(instances, uids, requestor, commitments, wait_s)
    except NotOfferedError:
        if required:
            raise _all_stored(f"{requestor.peer} offers no storage commitment", instances) from None
    except NetworkError as error:
        if required or commitments.times_asked(uids) < _MOST_UNANSWERED:
            raise _all_stored(str(error), instances) from None
        LOGGER.warning("%s; its status of C-STORE counts", error)
    return frozenset()


def _ask(
    instances: Sequence[Instance],
    uids: frozenset[str],
    requestor: Requestor,
    commitments: Commitments,
    wait_s: float,
) -> frozenset[str]:
    """The instances that the peer reports not to keep."""
    if commitments.kept(uids):  # a report that came late
        return frozenset()
    commitments.count(uids)
    context = build_context(StorageCommitmentPushModel)
    with requestor.associate([context], [(evt.EVT_N_EVENT_REPORT, commitments.on_report)]) as association:
        transaction = commitments.ask(uids)
        request = _request(transaction, instances)
        uid = StorageCommitmentPushModelInstance
        status = association.send_n_action(request, _ASK, StorageCommitmentPushModel, uid)[0].get("Status")
        reported = commitments.wait(transaction, min(wait_s, _SAME_ASSOCIATION_S))
    if not (reported or commitments.wait(transaction, wait_s if status in (0, None) else 0)):
        answer = "no status" if status is None else f"status 0x{status:04X}"
        raise NetworkError(f"{requestor.peer} reported no storage commitment within {wait_s:g} s ({answer})")
    return commitments.take_failed(transaction)


def _request(transaction: str, instances: Sequence[Instance]) -> Dataset:
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = [_reference(instance) for instance in instances]
    return request


def _reference(instance: Instance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = instance.sop_class_uid, instance.sop_instance_uid
    return item


def _all_stored(sentence: str, instances: Sequence[Instance]) -> NetworkError:
    return NetworkError(sentence, stored=[instance.name for instance in instances])
