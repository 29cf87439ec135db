#!/bin/sh
# Each header of the SDK, first in its file and twice, under every compiler and language level it promises.
# headers.sh INCLUDE_DIRECTORY COMPILER...: a C compiler followed by its C++ sister.
set -u
include=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0 compiled=0

# compile HEADER LANGUAGE STANDARD COMPILER
compile() {
  file=$work/use.$2
  printf '#include <switchyard/%s>\n#include <switchyard/%s>\n' "$1" "$1" >"$file"
  cat >>"$file" <<'USE'
#ifdef SWY_PROVIDER_IFACE
int use(const swy_provider *p, const swy_req *r, uint32_t i);
int use(const swy_provider *p, const swy_req *r, uint32_t i) {
  const swy_member *m = SWY_AT(swy_member, r->member, i, r->member_stride);
  return SWY_FN(p, swy_provider, op_free) && SWY_HAS(r, swy_req, deadline_ns) && m->type == 's';
}
#endif
USE
  compiled=$((compiled + 1))
  if ! "$4" "-std=$3" -pedantic-errors -Wall -Wextra -Werror -fsyntax-only "-I$include" "$file"; then
    echo "FAILED: $4 -std=$3 $1"
    failed=$((failed + 1))
  fi
}

while [ $# -ge 2 ]; do
  for path in "$include"/switchyard/*.h; do
    header=$(basename "$path")
    for standard in c89 c99 c11 c17; do compile "$header" c "$standard" "$1"; done
    for standard in c++98 c++03 c++11 c++14 c++17 c++20 c++2b; do compile "$header" cpp "$standard" "$2"; done
  done
  for path in "$include"/switchyard/*.hpp; do
    for standard in c++20 c++2b; do compile "$(basename "$path")" cpp "$standard" "$2"; done
  done
  shift 2
done
echo "$compiled compiled, $failed failed"
[ "$compiled" -gt 0 ] && [ "$failed" -eq 0 ]
