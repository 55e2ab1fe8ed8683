"""The model card that lies beside a bundle, generated from the bundle's own record of its training."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from embedder.bundle import Bundle
from embedder.matching.reranker import FEATURES

CARD_FILE = "CARD.md"
CURVES_FILE = "curves.png"
#: Training settings that `embedder train` takes as `--name value`; `command` spells the others itself.
PLAIN = (
    "backbone",
    "weights",
    "head",
    "dim",
    "serve_size",
    "p",
    "k",
    "balance",
    "split",
    "freeze",
    "lr",
    "loss",
    "distance",
    "margin",
    "mine_every",
    "mine_photos",
    "softmax",
    "mix",
    "teacher",
    "teaching",
    "average",
    "precision",
    "seed",
)


def command(training: dict[str, Any]) -> str:
    """The `embedder train` command that made a bundle: every setting explicit, folders and files by name only.

    Settings newer than the bundle are omitted; SKUs left out of the training are given as a file of names.
    """
    words = ["embedder", "train", *(data_set["name"] for data_set in training["sets"])]
    for key in PLAIN:
        if training.get(key) is not None:
            words += [f"--{key.replace('_', '-')}", str(training[key])]
    if training.get("left_out"):
        words += ["--leave-out", "FILE"]
    words += ["--schedule", ",".join(f"{size}:{epochs}" for size, epochs in training["schedule"])]
    words += ["--soft" if training["soft"] else "--hard-margin", "--out", "BUNDLE"]
    return shlex.join(words)


#: Settings of an adaptation that `embedder adapt` takes as `--name value`.
ADAPTATION = (
    "backbone",
    "weights",
    "toward",
    "share",
    "frozen_until",
    "dim",
    "size",
    "serve_size",
    "views",
    "steps",
    "p",
    "lr",
    "temperature",
    "keep",
    "average",
    "back",
    "seed",
)


def adaptation_command(training: dict[str, Any]) -> str:
    """The `embedder adapt` command that made a bundle, with folders and files by name only."""
    words = ["embedder", "adapt", *(data_set["name"] for data_set in training["sets"])]
    for key in ADAPTATION:
        if training.get(key) is not None:
            words += [f"--{key.replace('_', '-')}", str(training[key])]
    return shlex.join([*words, "--out", "BUNDLE"])


def write_card(bundle: Bundle) -> Path:
    """Write the model card into the bundle's folder; it is not part of the bundle's hash. Returns its path."""
    path = bundle.path / CARD_FILE
    path.write_text("\n".join(_card(bundle)) + "\n", encoding="utf-8")
    return path


def _card(bundle: Bundle) -> Iterator[str]:
    yield f"# {bundle.name} {bundle.version}"
    yield ""
    yield f"Bundle `{bundle.id}`: a photo ({' and '.join(bundle.views)}, {bundle.size} x {bundle.size} pixels each, its"
    yield f"shape kept) becomes a vector of {bundle.dim} numbers and unit length, the mean of its views."
    yield ""
    yield "## What it is for"
    yield ""
    yield "Recognizing products by photo: the vector of a query photo is compared, by cosine, with those of reference"
    yield "photos, and the nearest one's SKU is the answer. A product is added by its photos, without another training."
    yield "Vectors of different bundles do not compare."
    if "sets" in bundle.training:
        yield from _training(bundle.training)
        yield from _figures(bundle)
    yield from _thresholds(bundle)
    yield ""
    yield "## Limits"
    yield ""
    yield "- It judges looks. Packs that differ by small print alone (a size, a flavor) lie close together."
    yield f"- It sees {bundle.size} pixels a side: a product should fill a good part of the photo, and be alone in it."
    yield "- Figures hold for photos like those they were measured on. For other shops, cameras or products:"
    yield "  `embedder evaluate`, then `embedder calibrate`, with photos of your own."


def _training(training: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield "## How it was trained"
    yield ""
    yield "| data | photos | SKUs |"
    yield "|---|---|---|"
    for data_set in training["sets"]:
        yield f"| {data_set['name']} | {data_set['photos']:,} | {data_set['skus']:,} |"
    yield f"| together | {training['photos']:,} | {training['skus']:,} |"
    yield ""
    yield from (f"- {note}" for note in training["notes"])
    if "frozen_until" in training:
        yield from _adaptation(training)
        return
    if left_out := training.get("left_out"):
        yield f"- Not trained on: {len(left_out)} SKUs of this data, named in bundle.json"
    if training.get("split"):
        yield f"- Of every SKU {training['split']:.0%} of the photos, by the seed, kept to judge by"
    yield f"- Start: {training['backbone']}, weights `{training['weights']}`, {training['head']} head"
    yield f"- Loss: {_loss(training)}"
    stages = ", ".join(f"{epochs} at {size} px" for size, epochs in training["schedule"])
    yield f"- Schedule: epochs {stages}; {training['steps']:,} steps of {training['p']} SKUs x {training['k']} photos"
    if frozen := training.get("freeze"):
        yield f"- Frozen: the backbone, in the first {frozen} of these epochs; the head alone learned"
    yield f"- Adam, learning rate up to {training['lr']:g} (warm-up, then cosine); seed {training['seed']}"
    yield f"- Served: the moving average of the weights, decay {training['average']:g}"
    yield f"- Date: {training['date']}"
    yield ""
    yield "```"
    yield command(training)
    yield "```"


def _adaptation(training: dict[str, Any]) -> Iterator[str]:
    start = f"{training['backbone']}, weights `{training['weights']}`"
    if toward := training.get("toward"):
        start += f", {training['share']:.0%} of the way to `{toward}` (WiSE-FT)"
    yield f"- Start: {start}; frozen up to `{training['frozen_until']}`, and all batch-norm statistics"
    yield f"- Loss: supervised contrastive, temperature {training['temperature']:g}; distillation from the start:"
    yield f"  {training['keep']:g} / temperature x (1 - cosine to the start's pooled features)"
    yield f"- {training['views']} views of a photo at {training['size']} px, itself and synthetic views"
    yield f"- {training['steps']:,} steps of {training['p']} SKUs x 2 views"
    if toward and (back := training.get("back")):
        yield f"- After that, {back:.0%} of the way to `{toward}`, all blocks (WiSE-FT)"
    yield "- Dense layer: the principal components of the pooled features"
    yield f"- Adam, learning rate up to {training['lr']:g} (warm-up, then cosine); seed {training['seed']}"
    yield f"- Served: the moving average of the weights, decay {training['average']:g}"
    yield f"- Date: {training['date']}"
    yield ""
    yield "```"
    yield adaptation_command(training)
    yield "```"


def _loss(training: dict[str, Any]) -> str:
    kind = training.get("loss", "batch-hard")
    if kind == "cross-entropy":
        loss = "softmax with cross-entropy"
    else:
        soft = training["soft"] and kind == "batch-hard"
        details = ["soft margin" if soft else f"margin {training['margin']:g}"]
        if "distance" in training:
            details.append(training["distance"])
        if training.get("mine_every"):
            details.append(f"mined among {training['mine_photos']:,} photos every {training['mine_every']:,} steps")
        loss = f"{kind} triplet ({', '.join(details)})"
    if training["softmax"]:
        loss += f" + {training['softmax']:g} x cosine softmax"
    if training.get("teacher"):
        loss += f" + {training['teaching']:g} x (1 - cosine to the vectors of the teacher `{training['teacher']}`)"
    if training["mix"]:
        loss += f", {training['mix']:.0%} of the steps with photos mixed in pairs"
    return loss


def _figures(bundle: Bundle) -> Iterator[str]:
    yield ""
    yield "## Figures"
    yield ""
    if (bundle.path / CURVES_FILE).is_file():
        yield f"![Loss and validation by epoch]({CURVES_FILE})"
        yield ""
    validated = bundle.training.get("figures_by_epoch")
    if not validated:
        yield "None were taken while training (no `--val`)."
        return
    where = "among those trained on" if bundle.training.get("split") else "in the first data set"
    yield f"Share of the validation photos whose nearest photo {where} is of their SKU (whole view alone):"
    yield ""
    yield "| epoch | val top-1 |"
    yield "|---|---|"
    for epoch, figures in validated:
        yield f"| {epoch} | {figures['val_top1']:.1%} |"


def _thresholds(bundle: Bundle) -> Iterator[str]:
    limits = bundle.thresholds
    yield ""
    yield "## Thresholds"
    yield ""
    yield f"A match needs a cosine of {limits.score:.4f} and a margin of {limits.margin:.4f} over the second SKU."
    calibration = bundle.training.get("calibration")
    if calibration is None:
        yield "They are defaults, not fitted: run `embedder calibrate`."
    elif "rates" not in calibration:
        yield "Their rates were measured on the data that they were fitted on: run `embedder calibrate`."
    else:
        yield from calibration_lines(calibration)
    if second := bundle.training.get("second_look"):
        yield ""
        yield "## Second look"
        yield ""
        yield from second_look_lines(second)


def calibration_lines(calibration: dict[str, Any]) -> Iterator[str]:
    """Markdown lines of a calibration (Calibration.as_dict): text, and a table of its rates."""
    allowed, photos = calibration["thresholds"]["false_accept"], calibration["queries"]
    folds = calibration["by_fold"]
    yield f"Fitted for at most {allowed:.1%} of unknown products accepted and {calibration['wrong']:.1%} of the matches"
    yield f"wrong, on {photos:,} query photos, each asked with its SKU in the gallery and with it held out of it (its"
    yield "look-alikes stay: the hardest unknown product)."
    yield from _same_visit(calibration)
    yield ""
    for line in calibration["warnings"]:
        yield f"**{line}**"
        yield ""
    yield f"The rates are those of SKUs that were not fitted on: the SKUs in {len(folds)} folds, each answered by"
    yield "thresholds fitted on the others. The thresholds above are fitted on all of them. Every set weighs the same."
    yield ""
    yield from _table(calibration)
    if strangers := calibration["strangers"]:
        count = f" | {strangers['photos']:,}"
        yield _row(", ".join(strangers["names"]), "in no gallery", count, strangers["rates"])
    yield ""
    known, fitted = calibration["rates"]["known"], calibration["in_sample"]
    yield f"- wrong SKUs among the matches: {_wrong_matches(known)}"
    accepted = [fold["rates"]["held_out"]["accepted"] for fold in folds]
    yield f"- over the folds: score {_span([fold['score'] for fold in folds], '.4f')}, margin"
    yield f"  {_span([fold['margin'] for fold in folds], '.3f')}, accepted {_span(accepted, '.1%')}"
    yield f"- on the SKUs that they were fitted on, to compare: {fitted['known']['right']:.1%} matched and right,"
    yield f"  {fitted['held_out']['accepted']:.1%} accepted"
    if strangers:
        yield "- products in no gallery: asked of every gallery, by the thresholds above, which were not fitted on them"
    if sets := calibration.get("sets_left_out"):
        yield ""
        yield "Each set by thresholds fitted on the other sets alone (without those of the same queries):"
        yield ""
        yield from _left_out_table(sets)


def second_look_lines(second: dict[str, Any]) -> Iterator[str]:
    """Markdown lines of a re-ranking (second look) calibration (RerankerCalibration.as_dict): text, and a table."""
    look = second["look"]
    yield f"The first look alone is sure with a score of {look['sure_score']:.4f}, {look['sure_margin']:.4f} over the"
    yield "second SKU. Otherwise, where printed details agree, each SKU's utility is the sum of its features by these"
    yield "weights, that of no SKU is 0, and a probability is its share of their exponentials (a conditional logit)."
    yield f"A match needs a probability of {look['accept']:.4f}."
    yield ""
    yield "| feature of a SKU | weight |"
    yield "|---|---|"
    weights = look["weights"]
    for name, weight in sorted(weights.items(), key=lambda one: [*FEATURES, *weights].index(one[0])):
        yield f"| {name}: {FEATURES.get(name, 'of an older version')} | {weight:.4f} |"
    if "floor" in look:
        yield ""
        loss = second["log_loss"]
        yield f"A cosine counts only above {look['floor']:.2f}. Log-loss on what was left out: {loss:.4f}."
    yield ""
    yield f"Fitted for at most {look['false_accept']:.1%} of unknown products accepted and {second['wrong']:.1%} of the"
    whole = second.get("left_out", False)
    what = "each set, by weights fitted on the others alone" if whole else "SKUs that were not fitted on, as above"
    strangers = f" and {second['strangers']:,} of strangers" if second.get("strangers") else ""
    yield f"matches wrong, on {second['queries']:,} query photos{strangers}. The rates are of {what};"
    yield f"{second['second']:.1%} of the photos needed the second look."
    yield from _same_visit(second)
    yield ""
    yield from _table(second)
    yield ""
    fitted = second["in_sample"]
    yield f"- wrong SKUs among the matches: {_wrong_matches(second['rates']['known'])}"
    yield f"- on the SKUs that they were fitted on, to compare: {fitted['known']['right']:.1%} matched and right,"
    yield f"  {fitted['held_out']['accepted']:.1%} accepted"


def _table(calibration: dict[str, Any]) -> Iterator[str]:
    columns = "SKUs | photos | match, right | match, wrong | ambiguous | unknown | wrong of matches"
    yield f"| query photos | product | {columns} |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for pair in calibration["sets"]:
        yield from _rows(pair["name"], f"{pair['skus']:,} | {pair['queries']:,}", pair["rates"])
    yield from _rows("together", f" | {calibration['queries']:,}", calibration["rates"])


def _rows(name: str, counts: str, rates: dict[str, Any]) -> Iterator[str]:
    yield _row(name, "in the gallery", counts, rates["known"])
    yield _row(name, "held out", counts, rates["held_out"])


def _row(name: str, product: str, counts: str, rates: dict[str, float]) -> str:
    """A row of the table; a match of an unknown product is never right."""
    wrong = rates["wrong"] if "wrong" in rates else rates["accepted"]
    right = f"{rates['right']:.1%}" if "right" in rates else "-"
    shares = (f"{share:.1%}" for share in (wrong, rates["ambiguous"], rates["unknown"]))
    cells = (name, product, counts, right, *shares, _wrong_matches(rates) if "right" in rates else "-")
    return f"| {' | '.join(cells)} |"


def _left_out_table(sets: list[dict[str, Any]]) -> Iterator[str]:
    yield "| set left out | score | margin | match, right | wrong of matches | held out: accepted |"
    yield "|---|---|---|---|---|---|"
    for one in sets:
        if rates := one["rates"]:
            known, accepted = rates["known"], rates["held_out"]["accepted"]
            shares = f"{known['right']:.1%} | {_wrong_matches(known)} | {accepted:.1%}"
            yield f"| {one['name']} | {one['score']:.4f} | {one['margin']:.3f} | {shares} |"
        else:
            yield f"| {one['name']} | no thresholds keep to the rates on the others | | | | |"


def _wrong_matches(known: dict[str, float]) -> str:
    """The share of wrong SKUs among the matches."""
    matched = known["right"] + known["wrong"]
    return f"{known['wrong'] / matched if matched else 0:.1%}"


def _same_visit(calibration: dict[str, Any]) -> Iterator[str]:
    """What was done with references of the query's visit; older calibrations kept them and do not say so."""
    if "same_visit" not in calibration:
        return
    if calibration["same_visit"] == "kept":
        yield "References of the query's visit (the same place, moments before) were kept: they flatter the rates."
        return
    found = sum(one["same_visit"] for one in calibration["sets"])
    lost = sum(one["not_asked"] for one in calibration["sets"])
    yield "References of the query's visit (the same place, moments before) were left out: some of"
    yield f"{found:,} queries. Not asked, since no other reference is left: {lost:,} queries."


def _span(values: list[float], form: str) -> str:
    return f"{min(values):{form}} to {max(values):{form}}"
