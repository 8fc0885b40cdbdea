"""Build the three font files in this folder from unpacked @fontsource npm packages.

Usage: make_fonts.py FOLDER, where FOLDER holds mplus/, zenmaru/ and emoji/, each an unpacked package
(@fontsource/m-plus-rounded-1c, @fontsource/zen-maru-gothic, @fontsource/noto-emoji).
Needs fonttools and brotli. See README.md beside this file.
"""
import glob
import os
import sys
import tempfile

from fontTools import merge, subset
from fontTools.ttLib import TTFont

root, here = sys.argv[1], os.path.dirname(os.path.abspath(__file__))


def jis_charset():
    """Every character of JIS X 0208 plus the vendor extensions of cp932, and half-width kana."""
    out = set()
    for lead in list(range(0x81, 0xA0)) + list(range(0xE0, 0xFD)):
        for trail in range(0x40, 0xFD):
            try:
                out.add(ord(bytes([lead, trail]).decode("cp932")))
            except (UnicodeDecodeError, TypeError):
                pass
    out |= set(range(0xFF61, 0xFFA0))
    return {c for c in out if not 0xE000 <= c <= 0xF8FF}


LATIN = set(range(0x20, 0x7F)) | set(range(0xA0, 0x180)) | set(range(0x2010, 0x2028)) | {
    0x2030, 0x2039, 0x203A, 0x203B, 0x20AC, 0x2122, 0x2190, 0x2191, 0x2192, 0x2193, 0x2212,
    0x2605, 0x2606, 0x2661, 0x2665, 0x266A, 0x266B, 0x266C, 0x301C, 0x3099, 0x309A}
GREEK_CYRILLIC = set(range(0x391, 0x3CA)) | set(range(0x400, 0x460))
WANTED = jis_charset() | LATIN | GREEK_CYRILLIC

# A companion's emoji: faces, hands, hearts, animals, plants, food, weather, a few things.
EMOJI = (
    set(range(0x1F600, 0x1F650)) | set(range(0x1F910, 0x1F930)) | set(range(0x1F970, 0x1F977))
    | set(range(0x1F400, 0x1F440)) | set(range(0x1F980, 0x1F9AE)) | set(range(0x1F330, 0x1F380))
    | set(range(0x1F490, 0x1F4A0)) | set(range(0x1F300, 0x1F321)) | set(range(0x1F380, 0x1F394))
    | set(range(0x1F442, 0x1F451)) | set(range(0x1F95E, 0x1F970)) | set(range(0x1F3B5, 0x1F3BD))
    | set(range(0x2600, 0x2605)) | {0x2728, 0x2B50, 0x1F31F, 0x2764, 0x2763, 0x1F44B, 0x1F64F,
    0x1F4A4, 0x1F525, 0x1F4DA, 0x1F4D6, 0x1F3E0, 0x1F697, 0x2615, 0x270C, 0x270B, 0x270A, 0x2705,
    0x274C, 0x26A1, 0x2744, 0x1F308, 0x1F9E1, 0x1F90D, 0x1F90E, 0x1F5A4, 0x1F4A1, 0x1F381})


def load(pattern, wanted, tmp):
    """Merge the slices that hold a wanted character, each stripped to it, without layout tables."""
    parts, seen = [], set()
    for i, path in enumerate(sorted(glob.glob(os.path.join(root, pattern)), key=len)):
        font = TTFont(path)
        keep = (set(font.getBestCmap()) & wanted) - seen
        if not keep:
            continue
        seen |= keep
        options = subset.Options(layout_features=[], hinting=False, notdef_outline=True,
                                 name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14], drop_tables=["vhea", "vmtx", "VORG", "GSUB", "GPOS", "GDEF", "BASE", "STAT", "fvar", "gvar", "avar", "HVAR", "MVAR", "meta"])
        s = subset.Subsetter(options)
        s.populate(unicodes=keep)
        s.subset(font)
        font.flavor = None
        out = os.path.join(tmp, f"{len(parts)}.ttf")
        font.save(out)
        parts.append(out)
    return parts, seen


def build(pattern, wanted, name):
    with tempfile.TemporaryDirectory() as tmp:
        parts, seen = load(pattern, wanted, tmp)
        font = merge.Merger().merge(parts) if len(parts) > 1 else TTFont(parts[0])
        font["post"].formatType = 3.0  # no glyph names
        out = os.path.join(here, name)
        font.save(out)
        print(f"{name}: {len(seen)} characters of {len(wanted)}, {os.path.getsize(out)} bytes")
        return seen


main = build("mplus/package/files/*-500-normal.woff2", WANTED, "MPLUSRounded1c-Medium-companion.ttf")
rest = build("zenmaru/package/files/*-500-normal.woff2", WANTED - main, "ZenMaruGothic-Medium-companion.ttf")
emoji = build("emoji/package/files/noto-emoji-*-500-normal.woff2", EMOJI - main - rest, "NotoEmoji-Medium-companion.ttf")
missing = sorted(WANTED - main - rest)
print("missing:", "".join(map(chr, missing)), len(missing))
