"""Only what a site may run without asking anybody gets into the lock file."""

from email.message import Message

import pytest

from tools import licences


def described(expression: str = "", classifiers: tuple[str, ...] = ()) -> Message:
    message = Message()
    if expression:
        message["License-Expression"] = expression
    for classifier in classifiers:
        message["Classifier"] = classifier
    return message


@pytest.mark.parametrize(
    "expression", ["MIT", "Apache-2.0 OR BSD-3-Clause", "MPL-2.0 AND (Apache-2.0 OR MIT)", "MIT OR GPL-3.0"]
)
def test_a_licence_that_can_be_met_permissively_passes(expression: str) -> None:
    assert licences.is_allowed(expression)


@pytest.mark.parametrize("expression", ["GPL-3.0-or-later", "MIT AND GPL-2.0", "unknown", ""])
def test_any_other_licence_is_refused(expression: str) -> None:
    assert not licences.is_allowed(expression)


def test_the_classifier_counts_where_there_is_no_expression() -> None:
    description = described(classifiers=("License :: OSI Approved", "License :: OSI Approved :: MIT License"))
    assert licences.licence(description) == "MIT"  # type: ignore[arg-type]


def test_a_package_that_names_nothing_is_refused() -> None:
    assert not licences.is_allowed(licences.licence(described()))  # type: ignore[arg-type]


def test_the_lock_file_is_read_without_what_other_platforms_need() -> None:
    lock = (
        "a==1.0 \\\n    --hash=sha256:00\n"
        "colorama==1 ; sys_platform == 'win32' \\\n"
        "numpy==2.4.6 ; python_full_version < '3.12' \\\n"
    )
    assert licences.locked(lock) == ["a", "numpy"]


def test_a_package_that_is_not_there_is_told() -> None:
    assert licences.complaints(["no-such-package-here"]) == ["no-such-package-here is not installed"]
