#!/usr/bin/env python3
"""Turns files into C: `const unsigned char NAME[]` (with a NUL behind it) and `const size_t NAME_bytes`.

usage: embed.py OUTPUT.c OUTPUT.h NAME=FILE ...
"""

import sys

BYTES_PER_LINE = 20


def definition(name, content):
    lines = [f"const unsigned char {name}[] = {{"]
    whole = content + b"\0"
    for start in range(0, len(whole), BYTES_PER_LINE):
        lines.append("    " + ",".join(str(byte) for byte in whole[start:start + BYTES_PER_LINE]) + ",")
    lines.append("};")
    lines.append(f"const size_t {name}_bytes = {len(content)};")
    return "\n".join(lines) + "\n"


def main(arguments):
    source_path, header_path, *assets = arguments
    guard = "HF_EMBEDDED_" + "".join(c.upper() if c.isalnum() else "_" for c in header_path.rsplit("/", 1)[-1])
    header = [f"#ifndef {guard}", f"#define {guard}", "#include <stddef.h>"]
    source = [f'#include "{header_path.rsplit("/", 1)[-1]}"', ""]
    for asset in assets:
        name, path = asset.split("=", 1)
        with open(path, "rb") as file:
            source.append(definition(name, file.read()))
        header.append(f"extern const unsigned char {name}[];")
        header.append(f"extern const size_t {name}_bytes; /* without the NUL behind it */")
    header.append("#endif")
    for path, lines in ((source_path, source), (header_path, header)):
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
