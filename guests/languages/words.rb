# Counts words: the same program in every language.
counts = $stdin.read.split.tally
counts.sort.each { |word, count| puts "#{word} #{count}" }
puts "#{ENV['GREETING']}, #{ARGV[0]}"
File.write("count.txt", "#{counts.values.sum} words\n")
print File.read("count.txt")
File.delete("count.txt")
exit 3
