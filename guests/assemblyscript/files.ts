// Writes files, reads and lists them, renames and removes them, and prints what
// it sees.
//
//     lunatic run --dir DIRECTORY files.wasm
//
// AssemblyScript's standard library has no files, so these are the functions of
// WASI preview 1 themselves.

import {
  errno,
  errnoToString,
  fd,
  fd_close,
  fd_read,
  fd_readdir,
  fd_write,
  fdflags,
  oflags,
  path_create_directory,
  path_open,
  path_remove_directory,
  path_rename,
  path_unlink_file,
  rights,
} from "@assemblyscript/wasi-shim/assembly/bindings/wasi_snapshot_preview1";

// The first preopened directory.
const directory: fd = 3;

// A number that a function writes, and a vector of one buffer.
const result = memory.data(8);
const vector = memory.data(8);

// Where records of a directory are read to.
const room = 64;
const buffer = memory.data(64);

// Ends the program if something failed.
function need(error: errno, what: string): void {
  if (error != errno.SUCCESS) {
    console.error(what + ": " + errnoToString(error));
    process.exit(1);
  }
}

function open(path: string, flags: oflags, append: fdflags = 0): fd {
  const name = String.UTF8.encode(path);
  need(
    path_open(
      directory, 0, changetype<usize>(name), name.byteLength, flags,
      rights.FD_READ | rights.FD_WRITE, 0, append, result,
    ),
    path,
  );
  return load<fd>(result);
}

function write(file: fd, text: string): void {
  const bytes = String.UTF8.encode(text);
  store<u32>(vector, <u32>changetype<usize>(bytes));
  store<u32>(vector, bytes.byteLength, 4);
  need(fd_write(file, vector, 1, result), "fd_write");
  assert(load<u32>(result) == bytes.byteLength);
}

// All that is in a file.
function read(path: string): string {
  const file = open(path, 0);
  const buffer = new ArrayBuffer(16);
  store<u32>(vector, <u32>changetype<usize>(buffer));
  store<u32>(vector, buffer.byteLength, 4);
  let text = "";
  do {
    need(fd_read(file, vector, 1, result), "fd_read");
    text += String.UTF8.decodeUnsafe(changetype<usize>(buffer), load<u32>(result));
  } while (load<u32>(result) > 0);
  need(fd_close(file), "fd_close");
  return text;
}

// The names in the directory in their order, without `.` and `..`.
function list(): string[] {
  // A record has the next cookie at 0, the length of the name at 16, and the name
  // at 24. One that is cut off is asked for again.
  const names: string[] = [];
  let cookie: u64 = 0;
  for (let more = true; more; ) {
    need(fd_readdir(directory, buffer, room, cookie, result), "fd_readdir");
    const used = load<u32>(result);
    more = used == room;
    for (let at: u32 = 0; at + 24 <= used; ) {
      const length = load<u32>(buffer + at, 16);
      if (at + 24 + length > used) break;
      const name = String.UTF8.decodeUnsafe(buffer + at + 24, length);
      if (name != "." && name != "..") names.push(name);
      cookie = load<u64>(buffer + at);
      at += 24 + length;
    }
  }
  return names.sort();
}

function remove(path: string): void {
  const name = String.UTF8.encode(path);
  need(path_unlink_file(directory, changetype<usize>(name), name.byteLength), path);
}

for (let number = 0; number < 5; ++number) {
  const file = open("poem-" + number.toString() + ".txt", oflags.CREAT | oflags.EXCL);
  write(file, "verse " + number.toString() + ": grüße\n");
  need(fd_close(file), "fd_close");
}
const end = open("poem-0.txt", 0, fdflags.APPEND);
write(end, "and one line more\n");
need(fd_close(end), "fd_close");
console.log(list().join(" "));
console.log(read("poem-0.txt") + read("poem-4.txt"));

const from = String.UTF8.encode("poem-4.txt");
const to = String.UTF8.encode("sub/renamed.txt");
const sub = String.UTF8.encode("sub");
need(path_create_directory(directory, changetype<usize>(sub), sub.byteLength), "sub");
need(
  path_rename(
    directory, changetype<usize>(from), from.byteLength,
    directory, changetype<usize>(to), to.byteLength,
  ),
  "path_rename",
);
console.log(list().join(" "));
console.log(errnoToString(path_remove_directory(directory, changetype<usize>(sub), sub.byteLength)));

remove("sub/renamed.txt");
for (let number = 0; number < 4; ++number) remove("poem-" + number.toString() + ".txt");
need(path_remove_directory(directory, changetype<usize>(sub), sub.byteLength), "sub");
console.log(list().length.toString() + " left, " + process.argv.length.toString() + " arguments");
