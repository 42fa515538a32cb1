"""Counts words: the same program in every language."""
import collections, os, sys

counts = collections.Counter(sys.stdin.read().split())
for word in sorted(counts):
    print(word, counts[word])
print(f"{os.environ['GREETING']}, {sys.argv[1]}")
with open("count.txt", "w") as file:
    file.write(f"{sum(counts.values())} words\n")
with open("count.txt") as file:
    print(file.read(), end="")
os.remove("count.txt")
sys.exit(3)
