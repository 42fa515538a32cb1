// Counts words: the same program in every language.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

int main(int argc, char **argv) {
    std::map<std::string, int> counts;
    std::string word;
    int count = 0;
    for (; std::cin >> word; count++) counts[word]++;
    for (const auto &entry : counts) std::cout << entry.first << ' ' << entry.second << '\n';
    const char *greeting = std::getenv("GREETING");
    std::cout << (greeting ? greeting : "-") << ", " << (argc > 1 ? argv[1] : "-") << '\n';
    std::ofstream("count.txt") << count << " words\n";
    std::string line;
    std::getline(std::ifstream("count.txt"), line);
    std::cout << line << std::endl;
    return std::remove("count.txt") ? 1 : 3;
}
