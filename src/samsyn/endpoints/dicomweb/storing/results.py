"""What became of the parts of one request, and how that is told: the Store Instances Response (PS3.18 annex I)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from samsyn.endpoints.dicomweb.answers import Answer
from samsyn.endpoints.dicomweb.datasets import one_data_set
from samsyn.endpoints.dicomweb.storing.request import StoreRequest

_Model: TypeAlias = dict[str, dict[str, object]]

_RETRIEVE_URL: Final = "00081190"
_CLASS: Final = "00081150"
_INSTANCE: Final = "00081155"
_REASON: Final = "00081197"
_FAILED: Final = "00081198"
_REFERENCED: Final = "00081199"
_OTHER_FAILURES: Final = "0008119A"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one part. `failure` 0 = durable."""

    failure: int
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_uid: str = ""
    series_uid: str = ""
    retry: bool = False
    """Whether sending it again later may help."""


def response(results: Sequence[Result], request: StoreRequest) -> Answer:
    """200 when all is durable, 202 when some is, 409 when nothing is, 503 when that was our disk's fault alone."""
    base, form, study_uid = request.base, request.form, request.study_uid
    stored = [result for result in results if not result.failure]
    failed = [result for result in results if result.failure]
    studies = {result.study_uid for result in stored}
    model: _Model = {}
    if study_uid or len(studies) == 1:
        model[_RETRIEVE_URL] = _value("UR", f"{base}/studies/{study_uid or next(iter(studies))}")
    failures = [_failure(result) for result in failed if result.sop_instance_uid]
    references = [_reference(result, base) for result in stored]
    others = [_failure(result) for result in failed if not result.sop_instance_uid]
    for tag, items in ((_FAILED, failures), (_REFERENCED, references), (_OTHER_FAILURES, others)):
        if items:
            model[tag] = {"vr": "SQ", "Value": items}
    if not failed:
        return one_data_set(form, model, 200)
    if not stored and all(result.retry for result in failed):
        return replace(one_data_set(form, model, 503), headers=((b"retry-after", b"10"),))
    if not stored:
        return one_data_set(form, model, 409)
    warning = b'299 Samsyn "Some instances were not stored."'
    return replace(one_data_set(form, model, 202), headers=((b"warning", warning),))


def _reference(result: Result, base: str) -> _Model:
    address = (
        f"{base}/studies/{result.study_uid}/series/{result.series_uid}/instances/{result.sop_instance_uid}"
    )
    return {
        _CLASS: _value("UI", result.sop_class_uid),
        _INSTANCE: _value("UI", result.sop_instance_uid),
        _RETRIEVE_URL: _value("UR", address),
    }


def _failure(result: Result) -> _Model:
    """The failed instance as it was named; another's bytes under the UID are not described."""
    named: _Model = {}
    if result.sop_instance_uid:
        named[_CLASS] = _value("UI", result.sop_class_uid) if result.sop_class_uid else {"vr": "UI"}
        named[_INSTANCE] = _value("UI", result.sop_instance_uid)
    named[_REASON] = _value("US", result.failure)
    return named


def _value(vr: str, value: str | int) -> dict[str, object]:
    return {"vr": vr, "Value": [value]}
