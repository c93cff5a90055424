"""`samsyn`: the verbs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from samsyn import __version__
from samsyn.errors import SamsynError

app = typer.Typer(
    name="samsyn",
    help="A region's shared imaging record: images, referrals and reports of every provider in one history.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
audit_app = typer.Typer(help="The audit journal.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")
dicom_app = typer.Typer(help="DICOM systems.", no_args_is_help=True)
app.add_typer(dicom_app, name="dicom")
hl7_app = typer.Typer(help="HL7 v2 sources.", no_args_is_help=True)
app.add_typer(hl7_app, name="hl7")
index_app = typer.Typer(help="The index, which follows from the journal.", no_args_is_help=True)
app.add_typer(index_app, name="index")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Settings file (TOML). Without it the defaults hold; see `samsyn config`."
    ),
]


@app.command()
def serve(
    config: ConfigOption = None,
    data: Annotated[Path | None, typer.Option(help="Data folder, instead of \\[data] folder.")] = None,
    dimse_port: Annotated[int | None, typer.Option(help="DICOM port, instead of \\[dicom] port.")] = None,
    http_port: Annotated[int | None, typer.Option(help="HTTP port, instead of \\[http] port.")] = None,
    mllp_port: Annotated[int | None, typer.Option(help="HL7 port, instead of \\[mllp] port.")] = None,
    scratch: Annotated[
        bool,
        typer.Option(
            "--scratch",
            help="A throw-away instance: temporary folder, free ports, test providers and tokens;"
            " prints one JSON line with everything that a test needs.",
        ),
    ] = False,
    index: Annotated[
        str,
        typer.Option(
            help="With --scratch: postgresql://user@host:port/database that keeps the index, in a schema of its own"
            " that is taken away at the end."
        ),
    ] = "",
) -> None:
    """Start the service: DICOM, HTTP and HL7 listeners and jobs. Ends cleanly on SIGTERM or Ctrl-C."""
    from samsyn.cli import serve as verb

    verb.run(config, data, dimse_port, http_port, mllp_port, scratch, index)


@app.command()
def demo(
    data: Annotated[Path, typer.Option(help="Data folder of the demo region; emptied at each start.")] = Path(
        "var/demo"
    ),
) -> None:
    """Start a whole invented region: four providers with their systems, forty people, ten years of history."""
    from samsyn.cli import demo as verb

    verb.run(data)


@app.command("demo-cluster")
def demo_cluster(
    data: Annotated[Path, typer.Option(help="Folder of the demo; emptied at each start.")] = Path(
        "var/demo-cluster"
    ),
    stays: Annotated[bool, typer.Option(help="Serve on when all has been shown.")] = True,
) -> None:
    """Start the region on two nodes with PostgreSQL and an S3-compatible object store, and kill one while it loads."""
    from samsyn.cli import demo_cluster as verb

    raise typer.Exit(verb.run(data, stays=stays))


@app.command()
def check(
    config: ConfigOption = None,
    stored: Annotated[
        bool,
        typer.Option(
            "--stored",
            help="Also compare journal, series objects and index with each other, both ways. Takes as long as"
            " `samsyn index rebuild` and as much disk as a second index; may run beside the service.",
        ),
    ] = False,
    hashes: Annotated[
        bool,
        typer.Option(
            "--hashes", help="The same, and read every stored byte and compare it with its SHA-256."
        ),
    ] = False,
) -> None:
    """Tell what is wrong with this installation, and how to mend it. Exit code 1 when something is."""
    from samsyn.cli import check as verb

    raise typer.Exit(verb.run(config, stored=stored, hashes=hashes))


@app.command("config")
def show_config(config: ConfigOption = None) -> None:
    """Print every setting with its meaning and the value in force, as a settings file."""
    from samsyn.cli import config as verb

    verb.run(config)


@dicom_app.command("echo")
def dicom_echo(
    titles: Annotated[
        list[str] | None, typer.Argument(help="AE titles of destinations; none = all in the settings.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Call the DICOM destinations with a C-ECHO, by TLS where settings say so. Exit code 1 when one does not answer."""
    from samsyn.cli import dicom as verb

    raise typer.Exit(verb.echo(config, titles or []))


DataOption = Annotated[Path | None, typer.Option(help="Data folder, instead of \\[data] folder.")]


@audit_app.command("verify")
def audit_verify(
    config: ConfigOption = None,
    data: DataOption = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option(help="An anchor line that was kept, as it was printed; may be repeated."),
    ] = None,
    anchors: Annotated[
        list[Path] | None, typer.Option(help="A file of anchor lines, beside [audit] anchor_file.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option(help="Public key (PEM) that anchors must be signed with.")
    ] = None,
) -> None:
    """Check the audit journal against its hash chain, its index and the anchors; says what was changed where.

    Exit code 1 when something was. Only reads; may run beside the service.
    """
    from samsyn.cli import audit as verb

    raise typer.Exit(verb.verify(config, data, tuple(anchor or ()), tuple(anchors or ()), public_key))


@audit_app.command("anchor")
def audit_anchor(config: ConfigOption = None, data: DataOption = None) -> None:
    """Check the audit journal and print one line that tells its end: keep it outside this machine, on paper if need be.

    `samsyn audit verify --anchor LINE` then finds a journal that was cut off or replaced. May run beside the service.
    """
    from samsyn.cli import audit as verb

    raise typer.Exit(verb.anchor(config, data))


@hl7_app.command("try")
def hl7_try(
    profile: Annotated[str, typer.Argument(help="Name of a shipped profile or path of a profile file.")],
    file: Annotated[
        Path, typer.Argument(help="Messages: one, a batch file, one after the other or an MLLP dump.")
    ],
    local_issuer: Annotated[
        str, typer.Option(help="Issuer (OID) of the provider's local patient ids, as in the settings.")
    ] = "",
) -> None:
    """Print what every message would file and what is not understood, by line and field. Files nothing.

    Exit code 1 when something would be refused or is not understood.
    """
    from samsyn.cli import hl7 as verb

    raise typer.Exit(verb.try_profile(profile, file, local_issuer))


@hl7_app.command("send")
def hl7_send(
    file: Annotated[
        Path, typer.Argument(help="Messages: one, a batch file, one after the other or an MLLP dump.")
    ],
    host: Annotated[str, typer.Option(help="Where the HL7 listener is.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port, as \\[mllp] port.")] = 2575,
) -> None:
    """Send every message of a file to a running service, and print what was not accepted. Exit code 1 then.

    Sent again, the same file has no second effect.
    """
    from samsyn.cli import hl7_send as verb

    raise typer.Exit(verb.run(file, host, port))


@index_app.command("rebuild")
def index_rebuild(config: ConfigOption = None, data: DataOption = None) -> None:
    """Make the whole index anew from what is on disk, with progress. Stop the service first.

    Damaged bodies are marked and not served (exit code 1); the old index stays until the new one is whole.
    """
    from samsyn.cli import upkeep

    raise typer.Exit(upkeep.rebuild(config, data))


@app.command()
def scrub(
    config: ConfigOption = None,
    data: DataOption = None,
    mib_per_s: Annotated[float, typer.Option(help="How fast to read; 0 = as fast as the disk gives.")] = 0.0,
) -> None:
    """Read every stored byte again and compare it with its hash; mend from \\[data] second_copy. Stop the service
    first (a running one does this by itself, see \\[data] scrub_days). Exit code 1 when damage is left."""
    from samsyn.cli import upkeep

    raise typer.Exit(upkeep.scrub(config, data, mib_per_s))


@audit_app.command("deliveries")
def audit_deliveries(config: ConfigOption = None, data: DataOption = None) -> None:
    """Tell how far the log service and the audit record repository have got the journal, and what they refused.

    Exit code 1 when something was refused. Only reads; may run beside the service.
    """
    from samsyn.cli import audit as verb

    raise typer.Exit(verb.deliveries(config, data))


@hl7_app.command("profile")
def hl7_profile(
    name: Annotated[
        str, typer.Argument(help="Name of a shipped profile or path of a profile file.")
    ] = "standard",
) -> None:
    """Print every rule of a profile with its meaning and the value in force: the beginning of one's own profile."""
    from samsyn.cli import hl7_profile as verb

    verb.run(name)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Runs the command line; refusals of Samsyn's own are one readable line and exit code 2."""
    try:
        app()
    except SamsynError as refusal:
        print(f"samsyn: {refusal.detail or refusal.sentence}", file=sys.stderr)
        sys.exit(2)
