#!/bin/sh
# Builds a program of C++ with exceptions: exceptions.sh -o PROGRAM SOURCE
#
# The libraries of C++ that Debian and Zig have compiled for WASI are without exceptions. Zig brings
# their sources, and a clang that writes exceptions in the form of WebAssembly 3.0. Beside the program,
# this compiles what of the libraries throws and catches, once, into the folder `exceptions`.
#
# `ZIG` is how Zig is called.
set -e
zig=${ZIG:-zig}
program=$2
source=$3
lib=$($zig env | sed -n 's/.*lib_dir = "\(.*\)".*/\1/p')
# One of its own, so that there is one library in it.
export ZIG_GLOBAL_CACHE_DIR="$PWD/exceptions/cache" ZIG_LOCAL_CACHE_DIR="$PWD/exceptions/cache"
flags="-target wasm32-wasi -O2 -fwasm-exceptions -mexception-handling
    -mllvm -wasm-enable-eh -mllvm -wasm-use-legacy-eh=false"
mkdir -p exceptions

compile() {
    object=exceptions/$(basename "$1" | sed 's/\.[^.]*$//').o
    [ -e "$object" ] || $zig c++ $flags -w -std=c++23 \
        -D_LIBCPP_BUILDING_LIBRARY -D_LIBCXXABI_BUILDING_LIBRARY -DLIBCXX_BUILDING_LIBCXXABI \
        -D_LIBCPP_ENABLE_CXX17_REMOVED_UNEXPECTED_FUNCTIONS -D_LIBCXXABI_HAS_NO_THREADS \
        -I"$lib/libcxx/src" -I"$lib/libcxxabi/include" -I"$lib/libcxxabi/src" \
        -I"$lib/libunwind/include" -c "$1" -o "$object"
}

for part in abort_message cxa_aux_runtime cxa_default_handlers cxa_demangle cxa_exception \
    cxa_exception_storage cxa_guard cxa_handlers cxa_personality cxa_vector cxa_virtual \
    fallback_malloc private_typeinfo stdlib_exception stdlib_new_delete stdlib_stdexcept \
    stdlib_typeinfo; do
    compile "$lib/libcxxabi/src/$part.cpp"
done
for part in any exception functional ios locale optional regex stdexcept string system_error \
    variant vector; do
    [ ! -e "$lib/libcxx/src/$part.cpp" ] || compile "$lib/libcxx/src/$part.cpp"
done
$zig cc $flags -w -D_LIBUNWIND_HIDE_SYMBOLS -I"$lib/libunwind/include" -I"$lib/libunwind/src" \
    -c "$lib/libunwind/src/Unwind-wasm.c" -o exceptions/unwind.o
# What an exception of C++ is to WebAssembly: the address of an object.
printf '.globl __cpp_exception\n.tagtype __cpp_exception i32\n__cpp_exception:\n' > exceptions/tag.S
$zig cc $flags -c exceptions/tag.S -o exceptions/tag.o

# Compiles the rest of the library, and finds out where it is.
printf '#include <iostream>\nint main() { std::cout << 1; }\n' > exceptions/library.cc
$zig c++ -target wasm32-wasi -O2 -w exceptions/library.cc -o exceptions/library.wasm
rest=$(find exceptions/cache -name libc++.a)

$zig c++ $flags -c "$source" -o exceptions.o
$zig cc -target wasm32-wasi -O2 exceptions.o exceptions/*.o "$rest" -s -o "$program"
