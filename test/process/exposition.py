# SPDX-License-Identifier: Apache-2.0
"""A strict reader of Prometheus' text format, version 0.0.4: what promtool would complain of is an error here."""
import dataclasses
import re
import urllib.request

TYPE = "text/plain; version=0.0.4; charset=utf-8"
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}


class Malformed(Exception):
    """The text is not in the format; says which line."""


@dataclasses.dataclass
class Family:
    """A metric: its type, help and samples by their suffix and labels."""
    type: str
    help: str
    samples: dict

    def value(self, suffix="", **labels):
        """The one sample with these labels."""
        return self.samples[suffix, tuple(sorted(labels.items()))]

    def bounds(self):
        return sorted({dict(labels)["le"] for suffix, labels in self.samples if suffix == "_bucket"}, key=float)

    def label_names(self):
        return {name for _, labels in self.samples for name, _ in labels}


def read_labels(text, line):
    labels, at = [], 0
    while at < len(text):
        found = LABEL.match(text, at)
        if not found or (found.end() < len(text) and text[found.end()] != ","):
            raise Malformed(f"labels: {line}")
        labels.append((found[1], re.sub(r"\\.", lambda escape: ESCAPES[escape[0]], found[2])))
        at = found.end() + 1
    if len({name for name, _ in labels}) != len(labels):
        raise Malformed(f"a label twice: {line}")
    return tuple(sorted(labels))


def read_sample(families, name, line):
    found = SAMPLE.fullmatch(line)
    if not found or name is None:
        raise Malformed(f"no sample: {line}")
    family = families[name]
    suffix = found[1].removeprefix(name) if found[1].startswith(name) else None
    allowed = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
    labels = read_labels(found[2] or "", line)
    if suffix not in allowed or (suffix, labels) in family.samples:
        raise Malformed(f"of another family, or twice: {line}")
    family.samples[suffix, labels] = float(found[3])


def check_histogram(name, family):
    series = {tuple(label for label in labels if label[0] != "le") for _, labels in family.samples}
    for labels in series:
        buckets = sorted((float(dict(of)["le"]), value) for (suffix, of), value in family.samples.items()
                         if suffix == "_bucket" and tuple(label for label in of if label[0] != "le") == labels)
        counts = [value for _, value in buckets]
        if not buckets or buckets[-1][0] != float("inf") or counts != sorted(counts):
            raise Malformed(f"{name}: buckets")
        if family.samples["_count", labels] != counts[-1] or ("_sum", labels) not in family.samples:
            raise Malformed(f"{name}: count or sum")


def check_family(name, family):
    if family.type == "histogram":
        check_histogram(name, family)
    elif any(value < 0 for value in family.samples.values()) and family.type == "counter":
        raise Malformed(f"{name}: a negative counter")
    if family.type == "counter" and name.startswith("lash_") and not name.endswith("_total"):
        raise Malformed(f"{name}: a counter's name ends with _total")


def read(text):
    """Families by name."""
    families, name, helped = {}, None, None
    if not text.endswith("\n"):
        raise Malformed("no line feed at the end")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            helped = line.split(" ", 3)
            if len(helped) != 4 or not re.fullmatch(NAME, helped[2]) or helped[2] in families:
                raise Malformed(f"help: {line}")
        elif line.startswith("# TYPE "):
            words = line.split(" ")
            if len(words) != 4 or not helped or words[2] != helped[2] or \
                    words[3] not in ("counter", "gauge", "histogram", "summary"):
                raise Malformed(f"type: {line}")
            name, helped = words[2], None if words[3] == "summary" else helped
            families[name] = Family(words[3], helped[3] if helped else "", {})
        elif families.get(name) and families[name].type == "summary":
            continue
        else:
            read_sample(families, name, line)
    for family_name, family in families.items():
        if family.type != "summary":
            check_family(family_name, family)
    return families


def scrape(endpoint):
    """The families that `endpoint` tells of now."""
    with urllib.request.urlopen(f"http://{endpoint}/metrics", timeout=30) as answer:
        if answer.headers["Content-Type"] != TYPE:
            raise Malformed(answer.headers["Content-Type"])
        return read(answer.read().decode())
