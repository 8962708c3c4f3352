# SPDX-License-Identifier: Apache-2.0
"""What came of it, as Markdown."""
import plot


def figure(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def wanted(row, value):
    if value is None:
        return "-"
    sign = ">=" if row.more_is_better else "<="
    return f"{sign} {value:.3g}"


def table(outcomes):
    lines = ["| measured side by side | against | Lash | theirs | ratio (least to greatest) | pairs | at least | aim | |",
             "|---|---|---|---|---|---|---|---|---|"]
    for outcome in outcomes:
        row = outcome.row
        if outcome.pairs:
            ours, theirs, least, median, greatest = outcome.figures()
            cells = [f"{figure(ours)} {row.unit}", f"{figure(theirs)} {row.unit}",
                     f"**{figure(median)}** ({figure(least)} to {figure(greatest)})"]
        else:
            cells = ["-", "-", "-"]
        lines.append(f"| {row.text} | {row.against} | {' | '.join(cells)} | {len(outcome.pairs)} | {wanted(row, row.least)} | "
                     f"{wanted(row, row.aim)} | {outcome.verdict()} |")
    return lines


def commands(outcomes):
    lines = []
    for outcome in outcomes:
        if outcome.pairs:
            lines += [f"- {outcome.row.name}: " + ", ".join(
                f"`{result['command']}`" for result in outcome.pairs[0] if "command" in result) + "."]
    return lines


def troubles(outcomes):
    return [f"- {outcome.row.name}: {outcome.trouble}" for outcome in outcomes if outcome.trouble]


def pairs(mapping):
    return [f"- {name}: {value}" for name, value in mapping.items()]


def document(outcomes, plots, about):
    """`plots`: {title: file}; `about`: what main knows of the run."""
    parts = ["# Results", "", f"Written by `{about['command']}` on {about['date']}; {about['minutes']:.0f} minutes. Ratios are "
             "medians of the pairs' ratios, each pair measured in turn, with the least and the greatest behind.", "",
             *table(outcomes), "", "## Machine", "", *pairs(about["machine"]), "", "## Versions", "",
             *pairs(about["versions"]), "", "## Settings", "", *pairs(about["settings"]), "", "## Commands", "",
             "The first pair's; servers listen on other ports each time.", "", *commands(outcomes)]
    found = troubles(outcomes)
    if found:
        parts += ["", "## Not or not wholly measured", "", *found]
    if plots:
        parts += ["", "## Plots", ""]
        parts += [f"![{title}]({path})" for title, path in plots.items()]
    return "\n".join(parts) + "\n"


def ratios(outcomes):
    """The rows with something wanted, as bars: an SVG, or None when there is none."""
    rows = [(outcome.row.name, *outcome.figures()[2:], outcome.row.least)
            for outcome in outcomes if outcome.pairs and outcome.row.least is not None]
    return plot.bars("Lash over the others; what is wanted is right of the mark where more is better", rows) if rows else None
