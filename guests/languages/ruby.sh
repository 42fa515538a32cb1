#!/bin/sh
# Makes a program out of the module of Ruby that npm has for JavaScript: ruby.sh -o PROGRAM
#
# That module is a library: a host in JavaScript starts the interpreter through its exports, and provides what
# the library `js` of Ruby imports. This merges it with three small modules that stand for such a host.
#
# `RUBY` is the module, and `BINARYEN` the directory of the programs of Binaryen.
set -e
program=$2
own=$(dirname "$0")/ruby
features="--enable-bulk-memory --enable-sign-ext --enable-mutable-globals
    --enable-nontrapping-float-to-int"
for part in start javascript handles; do
    "$BINARYEN/wasm-as" $features "$own/$part.wat" -o $part.wasm
done
"$BINARYEN/wasm-merge" $features "$RUBY" ruby start.wasm start javascript.wasm rb-js-abi-host \
    handles.wasm canonical_abi -o "$program"
