# SPDX-License-Identifier: Apache-2.0
"""Which files the house is made of."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Where a tree without git has files that are not ours.
NOT_OURS = {"build", "run", ".git", "__pycache__"}


def files(root=ROOT):
    """Paths relative to `root`, sorted: what git tracks or would; everything but build output where git cannot say."""
    listing = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"],
                             capture_output=True, text=True, check=False)
    if listing.returncode == 0:
        names = [name for name in listing.stdout.split("\0") if name]
    else:
        names = []
        for folder, folders, found in os.walk(root):
            folders[:] = [name for name in folders if name not in NOT_OURS and not name.startswith("build-")]
            names += [os.path.relpath(os.path.join(folder, name), root) for name in found]
    return sorted({name for name in names if (pathlib.Path(root) / name).is_file()})


def c_files(root=ROOT):
    return [name for name in files(root) if name.endswith((".c", ".h"))]
