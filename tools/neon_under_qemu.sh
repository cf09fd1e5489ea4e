#!/bin/sh
# Cross-compiles the library for AArch64 and runs its known answers under qemu: the NEON target where there is no ARM machine.
# Debian: apt-get install g++-aarch64-linux-gnu qemu-user
set -eu
cd "$(dirname "$0")/.."
compiler=${CXX:-aarch64-linux-gnu-g++}
emulator=${QEMU:-qemu-aarch64}
for tool in "$compiler" "$emulator"; do
  command -v "$tool" > /dev/null || {
    echo "neon_under_qemu: $tool is not here. Debian: apt-get install g++-aarch64-linux-gnu qemu-user" >&2
    exit 2
  }
done
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$compiler" -std=c++17 -O3 -ffp-contract=off -fno-math-errno -Wall -Wextra -Werror -DINITIUM_HAS_NEON -static -pthread \
  csrc/dispatch.cpp csrc/pool.cpp csrc/target_scalar.cpp csrc/target_neon.cpp csrc/check_vectors.cpp -o "$out/check_vectors"
"$emulator" "$out/check_vectors" tests/kat/vectors.txt "$@"
