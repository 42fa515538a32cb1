/* Counts words: the same program in every language. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char words[256][64];
static int compare(const void *a, const void *b) { return strcmp(a, b); }

int main(int argc, char **argv) {
    int count = 0;
    while (count < 256 && scanf("%63s", words[count]) == 1) count++;
    qsort(words, count, sizeof words[0], compare);
    for (int at = 0; at < count;) {
        int same = 1;
        while (at + same < count && strcmp(words[at], words[at + same]) == 0) same++;
        printf("%s %d\n", words[at], same);
        at += same;
    }
    const char *greeting = getenv("GREETING");
    printf("%s, %s\n", greeting ? greeting : "-", argc > 1 ? argv[1] : "-");
    FILE *file = fopen("count.txt", "w");
    if (!file || fprintf(file, "%d words\n", count) < 0 || fclose(file)) return 1;
    char line[64];
    file = fopen("count.txt", "r");
    if (!file || !fgets(line, sizeof line, file) || fclose(file)) return 1;
    fputs(line, stdout);
    return remove("count.txt") ? 1 : 3;
}
