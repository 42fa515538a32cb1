// Counts words: the same program in every language. It uses the C library, which changes less
// than the standard library of Zig.
const std = @import("std");

const c = struct {
    extern fn scanf(format: [*:0]const u8, ...) c_int;
    extern fn printf(format: [*:0]const u8, ...) c_int;
    extern fn qsort(base: *anyopaque, count: usize, size: usize, compare: *const fn (*const anyopaque, *const anyopaque) callconv(.c) c_int) void;
    extern fn strcmp(a: [*]const u8, b: [*]const u8) c_int;
    extern fn getenv(name: [*:0]const u8) ?[*:0]const u8;
    extern fn fopen(path: [*:0]const u8, mode: [*:0]const u8) ?*anyopaque;
    extern fn fprintf(file: *anyopaque, format: [*:0]const u8, ...) c_int;
    extern fn fgets(line: [*]u8, size: c_int, file: *anyopaque) ?[*]u8;
    extern fn fclose(file: *anyopaque) c_int;
    extern fn remove(path: [*:0]const u8) c_int;
};

var words: [256][64]u8 = undefined;

fn compare(a: *const anyopaque, b: *const anyopaque) callconv(.c) c_int {
    return c.strcmp(@ptrCast(a), @ptrCast(b));
}

pub fn main(init: std.process.Init.Minimal) u8 {
    var count: usize = 0;
    while (count < 256 and c.scanf("%63s", &words[count]) == 1) count += 1;
    c.qsort(@ptrCast(&words), count, 64, compare);
    var at: usize = 0;
    while (at < count) {
        var same: usize = 1;
        while (at + same < count and c.strcmp(&words[at], &words[at + same]) == 0) same += 1;
        _ = c.printf("%s %d\n", &words[at], @as(c_int, @intCast(same)));
        at += same;
    }
    const arguments = init.args.vector;
    const argument: [*:0]const u8 = if (arguments.len > 1) arguments[1] else "-";
    _ = c.printf("%s, %s\n", c.getenv("GREETING") orelse "-", argument);
    const out = c.fopen("count.txt", "w") orelse return 1;
    _ = c.fprintf(out, "%d words\n", @as(c_int, @intCast(count)));
    _ = c.fclose(out);
    var line: [64]u8 = undefined;
    const in = c.fopen("count.txt", "r") orelse return 1;
    _ = c.fgets(&line, 64, in) orelse return 1;
    _ = c.fclose(in);
    _ = c.printf("%s", &line);
    return if (c.remove("count.txt") == 0) 3 else 1;
}
