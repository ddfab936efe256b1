#!/bin/sh
# Makes the static library that is installed: one object in which only skua_* is left to be seen, so that a program that
# links it may have functions named output_done or resolve_start of its own.
#
#   archive.sh LIBRARY OBJECT...
set -eu
library=$1
shift
whole=$library.o
rm -f "$library"
${LD:-ld} -r -o "$whole" "$@"
${OBJCOPY:-objcopy} --wildcard --keep-global-symbol='skua_*' "$whole"
${AR:-ar} rcs "$library" "$whole"
rm -f "$whole"
