# SPDX-License-Identifier: Apache-2.0
"""Plots as SVG: lines over a logarithmic or linear axis, and bars; nothing but text is needed to draw them."""
import dataclasses
import html
import math

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 84, 170, 44, 56
# distinguishable to most eyes, also those that see fewer colours
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


@dataclasses.dataclass
class Axis:
    """From a value to a place between two pixels."""
    title: str
    values: list
    pixels: tuple
    logarithmic: bool = True

    def __post_init__(self):
        least, most = min(self.values), max(self.values)
        if self.logarithmic and least <= 0:
            raise ValueError("a logarithmic axis shows only what is above 0")
        if self.logarithmic:
            self.bounds = 10 ** math.floor(math.log10(least)), 10 ** math.ceil(math.log10(most))
            if self.bounds[0] == self.bounds[1]:
                self.bounds = self.bounds[0], self.bounds[1] * 10
        else:
            self.bounds = 0, most or 1

    def place(self, value):
        low, high = self.bounds
        if self.logarithmic:
            share = (math.log10(value) - math.log10(low)) / (math.log10(high) - math.log10(low))
        else:
            share = (value - low) / (high - low)
        return self.pixels[0] + share * (self.pixels[1] - self.pixels[0])

    def ticks(self):
        low, high = self.bounds
        if not self.logarithmic:
            return [high * i / 4 for i in range(5)]
        return [10.0 ** power for power in range(round(math.log10(low)), round(math.log10(high)) + 1)]


def number(value):
    """As short as it can be read: 1.5M, 20k, 3, 0.25."""
    for least, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= least:
            return f"{value / least:.3g}{suffix}"
    return f"{value:.3g}"


def text(x, y, content, anchor="middle", size=12, more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{more}>{html.escape(str(content))}'
            '</text>')


def line(x1, y1, x2, y2, colour="#ccc"):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def document(title, parts):
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
                      f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" role="img">',
                      f"<title>{html.escape(title)}</title>", f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
                      text(LEFT, 24, title, "start", 15), *parts, "</svg>", ""])


def frame(horizontal, vertical):
    """The two axes."""
    parts = []
    for tick in vertical.ticks():
        y = vertical.place(tick)
        parts += [line(LEFT, y, WIDTH - RIGHT, y), text(LEFT - 8, y + 4, number(tick), "end")]
    for tick in horizontal.ticks():
        x = horizontal.place(tick)
        parts += [line(x, TOP, x, HEIGHT - BOTTOM), text(x, HEIGHT - BOTTOM + 18, number(tick))]
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return parts + [text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, horizontal.title),
                    text(20, middle, vertical.title, more=f' transform="rotate(-90 20 {middle:.1f})"')]


def lines(title, x_title, y_title, series, y_logarithmic=True):
    """An SVG document; `series`: {name: [(x, y), ...]}, x above 0."""
    points = [point for values in series.values() for point in values]
    horizontal = Axis(x_title, [x for x, _ in points], (LEFT, WIDTH - RIGHT))
    vertical = Axis(y_title, [y for _, y in points], (HEIGHT - BOTTOM, TOP), y_logarithmic)
    parts = frame(horizontal, vertical)
    for i, (name, values) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        places = [(horizontal.place(x), vertical.place(y)) for x, y in sorted(values)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
        y = TOP + 14 + 20 * i
        parts += [f'<circle cx="{WIDTH - RIGHT + 18}" cy="{y - 4}" r="5" fill="{colour}"/>',
                  text(WIDTH - RIGHT + 30, y, name, "start")]
    return document(title, parts)


def bars(title, rows):
    """An SVG document of ratios; `rows`: [(name, least, median, greatest, wanted)], all above 0, on a logarithmic axis, with
    the wanted ratio as a mark across each bar."""
    left = 260
    axis = Axis("", [value for row in rows for value in row[1:]] + [1], (left, WIDTH - 60))
    step = (HEIGHT - TOP - BOTTOM) / len(rows)
    parts = []
    for tick in axis.ticks():
        x = axis.place(tick)
        parts += [line(x, TOP, x, HEIGHT - BOTTOM), text(x, HEIGHT - BOTTOM + 18, number(tick))]
    for i, (name, least, median, greatest, wanted) in enumerate(rows):
        y = TOP + step * (i + 0.5)
        one, end = axis.place(1), axis.place(median)
        parts += [text(left - 10, y + 4, name, "end"),
                  f'<rect x="{min(one, end):.1f}" y="{y - step * 0.3:.1f}" width="{abs(end - one):.1f}" '
                  f'height="{step * 0.6:.1f}" fill="{COLOURS[0]}"/>',
                  line(axis.place(least), y, axis.place(greatest), y, "#000"),
                  f'<line x1="{axis.place(wanted):.1f}" y1="{y - step * 0.45:.1f}" x2="{axis.place(wanted):.1f}" '
                  f'y2="{y + step * 0.45:.1f}" stroke="{COLOURS[1]}" stroke-width="3"/>']
    parts.append(text(left, HEIGHT - 14, "bar: median ratio; black: least to greatest pair; mark: wanted", "start"))
    return document(title, parts)
