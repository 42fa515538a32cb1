// Counts words: the same program in every language; for `qjs --std`, which has `std` and `os`.

const words = std.in.readAsString().split(/\s+/).filter((word) => word);
const counts = new Map();
for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
for (const word of [...counts.keys()].sort()) std.out.puts(`${word} ${counts.get(word)}\n`);
std.out.puts(`${std.getenv("GREETING")}, ${scriptArgs[1]}\n`);
const out = std.open("count.txt", "w");
out.puts(`${words.length} words\n`);
out.close();
std.out.puts(std.loadFile("count.txt"));
std.out.flush();
os.remove("count.txt");
std.exit(3);
