-- Counts words: the same program in every language.
local counts, words, count = {}, {}, 0
for word in io.read("a"):gmatch("%S+") do
  if not counts[word] then
    counts[word] = 0
    words[#words + 1] = word
  end
  counts[word] = counts[word] + 1
  count = count + 1
end
table.sort(words)
for _, word in ipairs(words) do
  print(word .. " " .. counts[word])
end
print(os.getenv("GREETING") .. ", " .. arg[1])
local out = assert(io.open("count.txt", "w"))
out:write(count, " words\n")
out:close()
for line in io.lines("count.txt") do
  print(line)
end
assert(os.remove("count.txt"))
os.exit(3)
