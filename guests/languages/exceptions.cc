// Counts words: the same program in every language, with exceptions in the place of tests.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>

struct NoMoreWords : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What leaves it by an exception is removed, too.
struct Removed {
    const char *path;
    bool &is_removed;
    ~Removed() { is_removed = std::remove(path) == 0; }
};

static std::string next_word() {
    std::string word;
    if (!(std::cin >> word)) throw NoMoreWords("the input is over");
    return word;
}

static int number(const std::string &line) {
    try {
        // What the library throws.
        return std::stoi(line.substr(line.find('x')));
    } catch (const std::out_of_range &) {
        return std::stoi(line);
    }
}

static int count_words(std::map<std::string, int> &counts) {
    int count = 0;
    try {
        for (;; count++) {
            std::string word = next_word();
            try {
                counts.at(word)++;
            } catch (const std::out_of_range &) {
                counts[word] = 1;
            }
        }
    } catch (const std::logic_error &) {
        std::cout << "caught as what it is not\n";
    } catch (const NoMoreWords &) {
    }
    return count;
}

int main(int argc, char **argv) {
    std::map<std::string, int> counts;
    int count = count_words(counts);
    for (const auto &entry : counts) std::cout << entry.first << ' ' << entry.second << '\n';
    const char *greeting = std::getenv("GREETING");
    std::cout << (greeting ? greeting : "-") << ", " << (argc > 1 ? argv[1] : "-") << '\n';
    bool is_removed = false;
    try {
        Removed removed{"count.txt", is_removed};
        std::FILE *file = std::fopen("count.txt", "w+");
        std::fprintf(file, "%d words", count);
        std::rewind(file);
        char line[32] = "";
        std::fgets(line, sizeof line, file);
        std::fclose(file);
        std::cout << line << std::endl;
        throw number(line);
    } catch (int number) {
        return is_removed && number == count ? 3 : 1;
    }
}
