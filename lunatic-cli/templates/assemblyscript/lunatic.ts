// The processes and messages of Lunatic: spawn, send, receive, link.
//
// A process is another instance of this program, with a memory of its own, that runs one of its
// exported functions. What stands outside of functions runs in each of them.

// @ts-ignore: decorator
@external("lunatic::process", "process_id")
declare function process_id(): u64;
// @ts-ignore: decorator
@external("lunatic::process", "spawn")
declare function process_spawn(
  link: i64, config: i64, module: i64, name: usize, nameLength: u32,
  params: usize, paramsLength: u32, id: usize,
): u32;
// @ts-ignore: decorator
@external("lunatic::process", "die_when_link_dies")
declare function die_when_link_dies(die: u32): void;
// @ts-ignore: decorator
@external("lunatic::message", "create_data")
declare function create_data(tag: i64, capacity: u64): void;
// @ts-ignore: decorator
@external("lunatic::message", "write_data")
declare function write_data(bytes: usize, length: u32): u32;
// @ts-ignore: decorator
@external("lunatic::message", "read_data")
declare function read_data(bytes: usize, length: u32): u32;
// @ts-ignore: decorator
@external("lunatic::message", "data_size")
declare function data_size(): u64;
// @ts-ignore: decorator
@external("lunatic::message", "send")
declare function message_send(process: u64): u32;
// @ts-ignore: decorator
@external("lunatic::message", "receive")
declare function message_receive(tags: usize, count: u32, timeout: u64): u32;

const LINK_DIED: u32 = 1;
const TIMED_OUT: u32 = 9027;

/** The id of a process. */
export type Pid = u64;

/** What `receive` returns. */
export class Message {
  constructor(
    /** What was sent; empty if nothing was. */
    public data: Uint8Array,
    /** A linked process has ended with a failure. */
    public linkDied: bool = false,
  ) {}

  /** The number that was sent. */
  get number(): i64 {
    return load<i64>(this.data.dataStart);
  }
}

/** The process that calls it. */
export function self(): Pid {
  return process_id();
}

/** Starts a process that runs an exported function with these numbers; 0 if that fails. */
export function spawn(name: string, params: i64[]): Pid {
  return start(0, name, params);
}

/** The same, and links it: if one of the two fails, the other is told. */
export function spawnLink(name: string, params: i64[]): Pid {
  return start(1, name, params);
}

function start(link: i64, name: string, params: i64[]): Pid {
  // Of a parameter there are its type, here i64, and 16 bytes for its value.
  const written = new Uint8Array(params.length * 17);
  for (let at = 0; at < params.length; at++) {
    written[at * 17] = 0x7e;
    store<i64>(written.dataStart + at * 17 + 1, params[at]);
  }
  const bytes = String.UTF8.encode(name);
  const id = new Uint64Array(1);
  const failed = process_spawn(
    link, -1, -1, changetype<usize>(bytes), bytes.byteLength,
    written.dataStart, written.length, id.dataStart,
  );
  return failed ? 0 : id[0];
}

/** From now on, the end of linked processes is told by messages. */
export function trapExits(): void {
  die_when_link_dies(0);
}

/** Sends bytes. If the process has ended, nothing happens. */
export function send(to: Pid, data: Uint8Array): void {
  create_data(0, data.length);
  write_data(data.dataStart, data.length);
  message_send(to);
}

/** Sends a number. */
export function sendNumber(to: Pid, number: i64): void {
  const data = new Uint8Array(8);
  store<i64>(data.dataStart, number);
  send(to, data);
}

/** Waits for a message, for so many milliseconds; null if none comes. */
export function receiveWithin(ms: u64): Message | null {
  const kind = message_receive(0, 0, ms);
  if (kind == TIMED_OUT) return null;
  if (kind == LINK_DIED) return new Message(new Uint8Array(0), true);
  const data = new Uint8Array(<i32>data_size());
  read_data(data.dataStart, data.length);
  return new Message(data);
}

/** Waits for a message, for ever. */
export function receive(): Message {
  return receiveWithin(u64.MAX_VALUE)!;
}
