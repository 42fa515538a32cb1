#!/bin/sh
# Builds the interpreter of Lua: lua.sh -o PROGRAM
#
# An error of Lua is a long jump of C, which is compiled to an exception in the form of WebAssembly 3.0. A
# C library that is compiled for exceptions has the functions for it: Zig compiles it so when it is told to.
#
# `LUA` is the directory of the sources of Lua, without a program; lua/lua.c is one. `ZIG` is how Zig is called.
set -e
zig=${ZIG:-zig}
program=$2
own=$(dirname "$0")/lua
# What a long jump is to WebAssembly: the address of where it goes.
printf '.globl __c_longjmp\n.tagtype __c_longjmp i32\n__c_longjmp:\n' > tag.S
# Lua asks for the type of a signal only.
$zig cc -target wasm32-wasi -O2 -w -mexception-handling \
    -mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false \
    -D_WASI_EMULATED_SIGNAL \
    -I"$LUA" "$own/lua.c" "$LUA"/*.c tag.S \
    -lwasi-emulated-signal -s -o "$program"
