#!/bin/sh
# Builds a program of C with `setjmp`: setjmp.sh -o PROGRAM SOURCE
#
# A long jump is compiled to an exception in the form of WebAssembly 3.0. The functions of the C library
# for it are in no library that is compiled; Zig brings their source.
#
# `ZIG` is how Zig is called.
set -e
zig=${ZIG:-zig}
program=$2
source=$3
lib=$($zig env | sed -n 's/.*lib_dir = "\(.*\)".*/\1/p')
flags="-target wasm32-wasi -O2 -mexception-handling
    -mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false"
mkdir -p setjmp
# What a long jump is to WebAssembly: the address of where it goes.
printf '.globl __c_longjmp\n.tagtype __c_longjmp i32\n__c_longjmp:\n' > setjmp/tag.S
$zig cc $flags -c setjmp/tag.S -o setjmp/tag.o
$zig cc $flags -c "$lib/libc/wasi/libc-top-half/musl/src/setjmp/wasm32/rt.c" -o setjmp/rt.o
$zig cc $flags -c "$source" -o setjmp/program.o
$zig cc -target wasm32-wasi -O2 setjmp/*.o -s -o "$program"
