// A program of processes: two square a number each and send it to the first; a third one
// fails, and the first, which is linked to it, is told.

import { receive, self, sendNumber, spawn, spawnLink, trapExits } from "./lunatic";

export function square(parent: i64, number: i64): void {
  sendNumber(parent, number * number);
}

export function fail(): void {
  throw new Error("this one fails");
}

export function _start(): void {
  spawn("square", [self(), 3]);
  spawn("square", [self(), 4]);
  const sum = receive().number + receive().number;
  console.log("two processes say " + sum.toString());

  trapExits();
  spawnLink("fail", []);
  console.log("a linked process has failed: " + receive().linkDied.toString());
}
