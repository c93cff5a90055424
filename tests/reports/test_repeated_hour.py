"""Versions told without time zone in the hour that the end of summer time repeats: the last one is shown as the last.

27 October 2024: 02:00 to 03:00 in Sweden is 00:00 to 01:00 UTC, and once more 01:00 to 02:00 UTC.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from samsyn.model.predicate import Everything
from samsyn.reports.examination import _joined
from samsyn.reports.file import Filing
from samsyn.reports.order import by_report
from samsyn.store.index import examination_rows
from tests.hl7v2.messages import message, msh, obr, obx, pid, segment
from tests.reports.house import PROVIDERS, RIS, House

NIGHT = "20241027"


class Held:
    """A clock that the test holds."""

    def __init__(self) -> None:
        self.time = datetime(2024, 10, 27, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


class Night(House):
    """A house in that night."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.hand = Held()
        self.filing = Filing(self.store, self.hand, PROVIDERS)
        self.count = 0

    async def tell(
        self, arrives: str, status: str, text: str, made: str, sent: str = "", date: str = NIGHT
    ) -> str:
        """A version that arrives at HH:MM UTC, made and sent as the message writes it (HHMM); the answer."""
        self.hand.time = datetime.strptime(f"{date}{arrives}", "%Y%m%d%H:%M").replace(tzinfo=UTC)
        self.count += 1
        header = msh("ORU^R01", f"C{self.count}", sent=f"{date}{sent or made}")
        raw = message(header, pid(), obr({25: status, 22: f"{NIGHT}{made}"}), obx(text, status))
        filed = await self.send(raw)
        assert filed.verdict.code == "AA"
        return filed.verdict.sentence

    async def shown(self) -> list[str]:
        """The texts of the report, what holds first."""

        def look(connection: Any) -> list[str]:
            keys = frozenset(row[0] for row in connection.execute("SELECT patient_key FROM patient"))
            rows = [
                read(connection, Everything(), keys)
                for read in (examination_rows.studies, examination_rows.referrals, examination_rows.reports)
            ]
            [page] = [page for each in _joined(*rows) for page in by_report(each.reports)]
            return [each.version.text for each in page.shown] + [each.text for each in page.earlier]

        return await self.store.read(look)

    async def moments(self) -> list[str]:
        return [row[0][11:16] for row in await self.all("SELECT result_time FROM report ORDER BY report_key")]


@pytest_asyncio.fixture
async def night(tmp_path: Path) -> AsyncIterator[Night]:
    opened = Night(tmp_path / "data")
    yield opened
    opened.close()


async def test_what_is_corrected_in_the_second_hour_is_shown_corrected(night: Night) -> None:
    await night.tell("00:50", "F", "Ingen blödning.", "0250")
    await night.tell("01:10", "C", "Blödning höger.", "0210")
    assert await night.shown() == ["Blödning höger.", "Ingen blödning."]
    assert await night.moments() == ["00:50", "01:10"]


async def test_what_is_annulled_in_the_second_hour_is_annulled(night: Night) -> None:
    await night.tell("00:50", "F", "Fel patient.", "0250")
    await night.tell("01:10", "X", "", "0250", sent="0210")
    assert (await night.shown())[0] == ""
    assert await night.all("SELECT status FROM report WHERE text = ''") == [("annulled",)]


@pytest.mark.parametrize(
    ("arrives", "moment"),
    [("00:10", "00:10"), ("00:45", "00:10"), ("01:04", "00:10"), ("01:06", "01:10"), ("01:40", "01:10")],
)
async def test_the_hour_is_that_in_which_the_message_came(night: Night, arrives: str, moment: str) -> None:
    """Right for what is late by less than an hour, and for clocks that are five minutes ahead."""
    await night.tell(arrives, "F", "Ingen blödning.", "0210")
    assert await night.moments() == [moment]


async def test_a_zone_in_either_place_leaves_no_doubt(night: Night) -> None:
    await night.tell("09:00", "F", "Först.", "0250", sent="0250+0200")
    await night.tell("09:00", "C", "Sedan.", "0210", sent="0210+0100")
    answer = await night.tell("09:00", "C", "Till slut.", "0220+0100", sent="0220")
    assert await night.moments() == ["00:50", "01:10", "01:20"]
    assert await night.shown() == ["Till slut.", "Sedan.", "Först."]
    assert "twice" not in answer


async def test_what_has_waited_keeps_the_order_in_which_it_was_sent(night: Night) -> None:
    """A queue that stood still all night: nothing but the order tells that the clock went back in between."""
    await night.tell("06:00", "P", "Ett.", "0205")
    await night.tell("06:00", "F", "Två.", "0250")
    await night.tell("06:00", "C", "Tre.", "0210")
    answer = await night.tell("06:00", "C", "Fyra.", "0255")
    assert await night.shown() == ["Fyra.", "Tre.", "Två.", "Ett."]
    assert "OBR-22" in answer
    assert "twice" in answer


@pytest.mark.parametrize("when", [("01:56", "0256"), ("09:00", "1000")])
async def test_a_version_sent_again_is_not_shown_as_the_latest(night: Night, when: tuple[str, str]) -> None:
    """Under another control id, in the second hour or in the morning: it is the version that it was."""
    await night.tell("00:50", "F", "Ingen blödning.", "0250")
    await night.tell("01:10", "C", "Blödning höger.", "0210")
    await night.tell(when[0], "F", "Ingen blödning.", "0250", sent=when[1])
    assert (await night.shown())[0] == "Blödning höger."
    await night.tell(when[0], "C", "Blödning höger.", "0210", sent=when[1])
    assert (await night.shown())[0] == "Blödning höger."
    assert set(await night.moments()) == {"00:50", "01:10"}, "no moment of its own"


async def test_other_nights_and_hours_are_as_they_were(night: Night) -> None:
    await night.tell("06:00", "F", "Ett.", "0159")
    await night.tell("06:00", "C", "Två.", "0301")
    assert await night.moments() == ["23:59", "02:01"]


async def test_a_booking_cancelled_in_the_second_hour_is_cancelled(night: Night) -> None:
    for number, (event, sent, arrives) in enumerate((("S12", "0250", 50), ("S15", "0210", 70))):
        night.hand.time = datetime(2024, 10, 27, arrives // 60, arrives % 60, tzinfo=UTC)
        sch = segment("SCH", {1: "B1", 11: "^^^20241101090000", 25: "BOOKED"})
        raw = message(msh(f"SIU^{event}", f"S{number}", sent=f"{NIGHT}{sent}"), sch, pid())
        assert (await night.send(raw, RIS)).verdict.code == "AA"
    assert await night.all("SELECT status FROM booking") == [("cancelled",)]


async def test_what_a_clock_told_that_was_ahead_gives_way_to_the_correction(night: Night) -> None:
    """Its clock stood a year ahead for a while; until then its report would have stood above every correction."""
    answer = await night.tell("09:00", "F", "Ingen blödning.", "1000", sent="1000")
    assert "still to come" not in answer
    night.count += 10
    night.hand.time = datetime(2024, 10, 27, 10, tzinfo=UTC)
    wrong = {22: "20251027110000", 25: "F"}
    header = msh("ORU^R01", "W1", sent="20251027110000")
    filed = await night.send(message(header, pid(), obr(wrong), obx("Svar med fel klocka.")))
    assert "OBR-22: a moment that is still to come" in filed.verdict.sentence
    await night.tell("10:30", "C", "Blödning höger.", "1130")
    assert (await night.shown())[0] == "Blödning höger."
    again = msh("ORU^R01", "W2", sent="20251027110000")
    await night.send(message(again, pid(), obr(wrong), obx("Svar med fel klocka.")))
    assert (await night.shown())[0] == "Blödning höger."
    assert set(await night.moments()) == {"09:00", "10:00", "10:30"}


@pytest.mark.parametrize(("made", "ahead"), [("1159", False), ("1201", True)])
async def test_clocks_and_zones_may_differ_by_two_hours(night: Night, made: str, ahead: bool) -> None:
    answer = await night.tell("09:00", "F", "Ingen blödning.", made)
    assert ("still to come" in answer) is ahead
    assert await night.moments() == ["09:00" if ahead else "10:59"]


async def test_a_report_of_a_clock_that_is_put_forward_late_is_not_lost(tmp_path: Path) -> None:
    """It was refused, whenever it was sent again: its moment stayed that of the night."""
    night = Night(tmp_path / "data")
    night.hand.time = datetime(2024, 3, 31, 1, 31, tzinfo=UTC)
    header = msh("ORU^R01", "V1", sent="20240331023100")
    filed = await night.send(
        message(header, pid(), obr({22: "20240331023000", 25: "F"}), obx("Ingen blödning."))
    )
    assert (filed.verdict.code, filed.receipt.outcome) == ("AA", "stored")
    assert "OBR-22: an hour that the change to summer time skips" in filed.verdict.sentence
    assert await night.moments() == ["01:30"]
    night.close()
