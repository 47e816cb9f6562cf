"""`tagtide gate`: sharpening a gate's directions with passages that somebody has labelled."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.options import Data
from deploy.named_files import data_at
from deploy.printing import say
from devices.errors import UsageError
from devices.site.model import Gate, Site
from devices.site.table import did_you_mean

app = typer.Typer(no_args_is_help=True, help="Sharpen a gate's directions with labelled passages.")


@app.callback()
def _group() -> None:
    """Gates: which way goods went."""


@app.command("train")
def train(
    data: Data,
    gate: Annotated[str, typer.Option("--gate", "-g", metavar="ID", help="Gate of the site file.", show_default=False)],
    passages: Annotated[
        Path,
        typer.Option(
            "--passages",
            "-p",
            metavar="FILE",
            help="CSV file of labels: `from_time`, `until_time`, `direction`, and `epc_hex` where a label is about one "
            "item.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Model file to write (JSON).", show_default=False)
    ],
    site: Annotated[
        str | None, typer.Option("--site", "-s", metavar="ID", help="Site, where several have such a gate.")
    ] = None,
) -> None:
    """Learn a gate's own model from labelled passages, and say how much better it is than the one that ships.

    `sharpened` begins with the shipped model, `own` with nothing (from three loads of each direction on); the one that
    does better on loads whose labels it has not seen is taken.

    Reads come from the lake, so the passages must have landed. Begin with what the present model says, and put the
    directions right; put the file that is written beside the site file, whose [[gate]] names it as its `model`:

    ```text
    tagtide sql -d DIR -f csv "SELECT * FROM passages" > labels.csv
    tagtide gate train -d DIR -g dock-1 -p labels.csv -o dock-1.json
    ```
    """
    from analytics.gate.labelled import passages_of, priors_of, read_labels, share_right
    from analytics.gate.models import learn_model, shipped_model
    from analytics.query import connect
    from devices.site.gate_model import write_gate_model

    labels = read_labels(passages)
    owner, found = _find_gate(data_at(data).sites(), gate, site)
    with connect(data) as connection:
        labelled = passages_of(connection, owner.id, found, labels)
    if not labelled:
        raise UsageError(
            f"the lake has no reads of gate {gate} at the times of these {len(labels)} labels",
            hint="compare the times (they are UTC unless they say otherwise) and the gate's antennas",
        )
    counts = Counter(one.direction.value for one in labelled)
    name = out.stem
    made = f"learnt from {len(labelled)} labelled passages of gate {gate} of site {owner.id}"
    say(f"{len(labelled)} passages in {len({one.label for one in labelled})} loads: {_shown(counts)}")
    ways = priors_of(labelled, shipped_model())
    judged = share_right(labelled, name=name, shipped=shipped_model())
    best = "sharpened" if judged is None else max(ways, key=lambda way: judged[way])
    if judged is not None:
        told = ", ".join(f"{way} {share:.1%}" for way, share in judged.items())
        say(f"right on loads whose labels were not used: {told}; taken is {best}")
        if judged[best] < judged["shipped"]:
            say(
                "these labels do not help: keep the shipped model, or label more loads", label="warning", style="yellow"
            )
    reads, directions = [one.passage for one in labelled], [one.direction for one in labelled]
    model = learn_model(reads, directions, name=name, made=f"{made}; {best}", prior=ways[best])
    try:
        write_gate_model(model, out)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}", hint="give a file in a folder that exists") from error
    say(f'wrote {out}: put it beside the site file, and write model = "{out.name}" in its [[gate]]')


def _find_gate(sites: list[Site], gate: str, site: str | None) -> tuple[Site, Gate]:
    known = [(one, each) for one in sites for each in one.gates if site in (None, one.id)]
    found = [(one, each) for one, each in known if each.id == gate]
    if len(found) == 1:
        return found[0]
    if found:
        owners = ", ".join(one.id for one, _ in found)
        raise UsageError(f"several sites have a gate {gate}: {owners}", hint="say which: --site ID")
    names = [each.id for _, each in known]
    hint = did_you_mean(gate, names).lstrip(", ") or f"gates: {', '.join(names) or 'none'}"
    raise UsageError(f'the sites of this data directory have no gate "{gate}"', hint=hint)


def _shown(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {direction}" for direction, count in counts.most_common())
