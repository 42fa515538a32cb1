/* Counts words: the same program in every language, with long jumps in the place of returns. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char words[256][64];
static jmp_buf no_more_words;

static int compare(const void *a, const void *b) { return strcmp(a, b); }

/* Leaves all calls of itself at once when there is no word any more. */
static void read_words(int count) {
    if (count == 256 || scanf("%63s", words[count]) != 1) longjmp(no_more_words, count + 1);
    read_words(count + 1);
    puts("this is not reached");
}

int main(int argc, char **argv) {
    /* It returns twice. */
    int count = setjmp(no_more_words) - 1;
    if (count < 0) read_words(0);
    qsort(words, count, sizeof words[0], compare);
    for (int at = 0; at < count;) {
        int same = 1;
        while (at + same < count && strcmp(words[at], words[at + same]) == 0) same++;
        printf("%s %d\n", words[at], same);
        at += same;
    }
    const char *greeting = getenv("GREETING");
    printf("%s, %s\n", greeting ? greeting : "-", argc > 1 ? argv[1] : "-");
    FILE *file = fopen("count.txt", "w+");
    if (!file || fprintf(file, "%d words\n", count) < 0) return 1;
    rewind(file);
    char line[64];
    if (!fgets(line, sizeof line, file) || fclose(file)) return 1;
    fputs(line, stdout);
    return remove("count.txt") ? 1 : 3;
}
