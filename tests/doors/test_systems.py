"""Systems over HTTP: known by their client certificate, and by nothing else where there is one."""

import http.client
import shutil
import ssl
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from samsyn.endpoints.contracts import names
from samsyn.errors import ConfigurationError
from samsyn.settings import load
from tests.doors.authority import Authority
from tests.doors.doors import imaging_outcome
from tests.doors.instance import ISSUER, Instance, Planted, running
from tests.doors.world import LINDEN, NORD, STATES

NORD_SYSTEM, LINDEN_SYSTEM, STRANGER = "SE9990000001-S001", "SE9990000004-S001", "SE9990000009-S001"
CONSUMER = "SE5565594230-TP01"
_STATES = {state.name: state for state in STATES}


@dataclass
class Stage:
    """A running instance with its authority and the systems' certificates."""

    made: Instance
    persons: dict[str, Planted]
    authority: Authority
    folder: Path
    systems: dict[str, tuple[Path, Path, int]]

    def get(self, path: str, context: ssl.SSLContext, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.made.server.https_port, timeout=10, context=context
        )
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def studies(self, system: str, person: str, **headers: str) -> int:
        uid = self.persons[person].there.study_uid
        context = self.authority.caller(self.systems[system])
        return self.get(f"/dicomweb/studies/{uid}/metadata", context, **headers)[0]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = Path(tmp_path_factory.mktemp("certificates"))
    authority = Authority(folder)
    ours = authority.certificate("ours")
    systems = {
        "nord": authority.certificate("nord", NORD_SYSTEM.lower()),
        "linden": authority.certificate("linden", LINDEN_SYSTEM),
        "stranger": authority.certificate("stranger", STRANGER),
        "consumer": authority.certificate("consumer", CONSUMER.lower()),
        "nameless": authority.certificate("nameless"),
        "expired": authority.certificate("expired", NORD_SYSTEM, days=-1),
        "revoked": authority.certificate("revoked", NORD_SYSTEM),
    }
    changes = {
        "http_tls": {
            "port": 0,
            "certificate": ours[0],
            "key": ours[1],
            "authorities": authority.file,
            "revoked": authority.revocations(systems["revoked"][2]),
        },
        "consumer": [
            {"name": "OVERSIKT", "hsa_id": CONSUMER, "serves": "care"},
            {"name": "JOURNALEN", "hsa_id": CONSUMER, "serves": "patients", "original": "SE5565594230-1177"},
        ],
        "certificates": {
            NORD: [{"name": "NORDCERT", "hsa_id": NORD_SYSTEM}],
            LINDEN: [{"name": "LINDENCERT", "hsa_id": LINDEN_SYSTEM}],
        },
    }
    states = tuple(
        _STATES[name]
        for name in (
            "own provider, inner block",
            "other provider, consent",
            "other provider",
            "outer block, consent",
        )
    )
    with running(Path(tmp_path_factory.mktemp("systems")), changes=changes) as made:
        persons = {each.state.name: each for each in made.plant(states)}
        yield Stage(made, persons, authority, folder, systems)


def test_a_system_reads_its_own_providers_information_always(stage: Stage) -> None:
    assert stage.studies("nord", "own provider, inner block") == 200


@pytest.mark.parametrize(
    ("person", "status"),
    [
        ("own provider, inner block", 404),
        ("other provider, consent", 200),
        ("other provider", 404),
        ("outer block, consent", 404),
    ],
)
def test_it_reads_others_information_on_its_units_ground_alone(
    stage: Stage, person: str, status: int
) -> None:
    assert stage.studies("linden", person) == status


@pytest.mark.parametrize("system", ["stranger", "nameless"])
@pytest.mark.parametrize("path", ["/dicomweb/studies", "/fhir/Patient?identifier=ZQ001A"])
def test_an_unknown_certificate_is_refused_whatever_else_it_shows(
    stage: Stage, system: str, path: str
) -> None:
    context = stage.authority.caller(stage.systems[system])
    bearer = f"Bearer {stage.made.tokens['NORDWEB']}"
    assert stage.get(path, context, Authorization=bearer)[0] == 401


def test_the_certificate_alone_tells_who_calls(stage: Stage) -> None:
    bearer = f"Bearer {stage.made.tokens['NORDWEB']}"
    assert stage.studies("linden", "own provider, inner block", Authorization=bearer) == 404


@pytest.mark.parametrize("system", ["expired", "revoked", ""])
def test_without_a_valid_certificate_there_is_no_connection(stage: Stage, system: str) -> None:
    context = stage.authority.caller(stage.systems[system] if system else None)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        stage.get("/health/live", context)


def test_a_certificate_of_another_authority_is_none(stage: Stage, tmp_path: Path) -> None:
    other = Authority(tmp_path, "Other CA").certificate("other", NORD_SYSTEM)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        stage.get("/health/live", stage.authority.caller(other))


def test_peoples_pages_are_not_served_here(stage: Stage) -> None:
    context = stage.authority.caller(stage.systems["nord"])
    assert stage.get("/health/live", context)[0] == 200
    for path in ("/", "/login", "/find", "/status", "/metrics", "/ohif/viewer"):
        assert stage.get(path, context)[0] == 404


def test_no_header_makes_a_caller_of_the_open_listener_a_system(stage: Stage) -> None:
    host, port = stage.made.server._base.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    for name in ("samsyn.certificate", "X-Client-Certificate", "X-SSL-Client-S-DN"):
        connection.request("GET", "/dicomweb/studies", headers={name: NORD_SYSTEM})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 401
    connection.close()


def test_systems_with_certificates_need_the_listener(tmp_path: Path) -> None:
    file = tmp_path / "samsyn.toml"
    file.write_text(
        '[[provider]]\nhsa_id = "SE9990000001-0001"\nname = "Nordsjukhuset"\n'
        '[[provider.unit]]\nhsa_id = "SE9990000001-1001"\nname = "Röntgen"\n'
        '[[provider.certificate]]\nname = "PACS"\nhsa_id = "SE9990000001-S001"\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError, match="http_tls"):
        load(file)


def test_a_record_system_with_a_certificate_gets_an_address_that_opens_a_patient(stage: Stage) -> None:
    form = "number=ZQ001A&employee=SE9990000004-9001"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for system, status in (("linden", 201), ("stranger", 401)):
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            stage.made.server.https_port,
            timeout=10,
            context=stage.authority.caller(stage.systems[system]),
        )
        connection.request("POST", "/launch/tickets", form, kind)
        answer = connection.getresponse()
        told = answer.read()
        connection.close()
        assert answer.status == status
        assert (b"/launch/" in told) == (status == 201)
        assert b"ZQ001A" not in told


@pytest.mark.parametrize(
    ("system", "original", "person", "status", "told"),
    [
        ("consumer", "", "other provider", 200, True),
        ("consumer", "", "outer block, consent", 200, False),
        ("consumer", "SE5565594230-1177", "outer block, consent", 200, True),
        ("linden", "", "other provider, consent", 200, True),
        ("linden", "", "other provider", 200, False),
        ("linden", "SE5565594230-1177", "other provider", 200, False),
        ("stranger", "", "other provider", 401, False),
    ],
)
def test_a_national_contract_tells_by_the_certificate_and_who_is_behind_it(
    stage: Stage, system: str, original: str, person: str, status: int, told: bool
) -> None:
    connection = http.client.HTTPSConnection(
        "127.0.0.1",
        stage.made.server.https_port,
        timeout=10,
        context=stage.authority.caller(stage.systems[system]),
    )
    headers = {"Content-Type": "text/xml", "x-rivta-original-serviceconsumer-hsaid": original}
    target = stage.persons[person].there
    connection.request("POST", names.PATH, imaging_outcome(target.patient_id, ISSUER), headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == status
    assert (f"KANREP{target.token}".encode() in body) == told


def test_a_consumers_certificate_opens_no_other_door(stage: Stage) -> None:
    context = stage.authority.caller(stage.systems["consumer"])
    for path in ("/dicomweb/studies", "/fhir/Patient?identifier=ZQ001A"):
        assert stage.get(path, context)[0] == 401


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_certificate_tells_who_calls_in_every_request_of_an_http_2_connection(stage: Stage) -> None:
    """curl with nghttp2, by ALPN: forty requests at once on one connection."""
    certificate, key, _ = stage.systems["nord"]
    base = f"https://127.0.0.1:{stage.made.server.https_port}/dicomweb/studies"
    own = stage.persons["own provider, inner block"].there.study_uid
    foreign = stage.persons["other provider"].there.study_uid
    addresses = [f"{base}/{uid}/metadata" for uid in (own, foreign) * 20]
    outputs = [part for _ in addresses for part in ("-o", "/dev/null")]
    command: list[str | Path] = ["curl", "-sS", "--http2", "--parallel", "--cert", certificate, "--key", key]
    command += ["--cacert", stage.authority.file, *outputs]
    command += ["-w", "%{http_version} %{http_code} %{num_connects}\\n", *addresses]
    told = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()
    answers = Counter(line.rsplit(" ", 1)[0] for line in told.splitlines())
    assert answers == {"2 200": 20, "2 404": 20}
    assert sum(int(line.rsplit(" ", 1)[1]) for line in told.splitlines()) == 1
