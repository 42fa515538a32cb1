// Uses the C library as ordinary programs do: formats, files, directories,
// times, sorting.
//
//     files DIRECTORY < TEXT
//
// It works inside of DIRECTORY, which must be empty and is empty again at the
// end. The same source is compiled natively and to wasm32-wasi, and both must
// print the same, byte for byte (lunatic-cli/tests/languages.rs). That is why it
// prints nothing that differs between machines: no addresses, no inodes, no
// numbers of errors, and directories only in sorted order.

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *directory;

// The path of `name` in the directory to work in; valid until the fourth
// following call.
static const char *in_directory(const char *name) {
    static char paths[4][1024];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

// Ends the program if something failed that must not.
static void need(bool success, const char *what) {
    if (!success) {
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
        exit(2);
    }
}

// Prints how something ended: its result, or what went wrong.
static void tell(const char *what, int result) {
    if (result == -1)
        printf("%s: %s\n", what, strerror(errno));
    else
        printf("%s: %d\n", what, result);
}

static void title(const char *text) { printf("\n== %s ==\n", text); }

static void formats(void) {
    title("formats");
    printf("[%d] [%5d] [%-5d] [%05d] [%+d] [% d]\n", 42, 42, 42, 42, 42, 42);
    printf("[%u] [%o] [%x] [%X] [%#x] [%#o]\n", 3000000000u, 8, 255, 255, 255, 8);
    printf("[%hhd] [%hd] [%lld] [%llu]\n", (signed char)200, (short)70000, LLONG_MIN, ULLONG_MAX);
    printf("[%" PRId64 "] [%" PRIu32 "] [%zu] [%jd]\n", INT64_MAX, UINT32_MAX, sizeof(int), (intmax_t)-1);
    printf("[%f] [%.2f] [%10.3f] [%-10.1f] [%e] [%.3E] [%g] [%g]\n", M_PI, M_PI, M_PI, M_PI, 12345.678,
           0.00012345, 1e-5, 1234567.0);
    printf("[%a] [%.0f] [%.0f] [%.0f] [%.20f]\n", 1.5, 0.5, 1.5, 2.5, 0.1);
    printf("[%f] [%f] [%F] [%5.1f%%]\n", INFINITY, -INFINITY, NAN, 99.5);
    printf("[%s] [%10s] [%-10s] [%.3s] [%*s] [%c]\n", "text", "text", "text", "text", 7, "text", 'c');
    printf("%2$s %1$s\n", "world", "hello");
    char small[8];
    const char *volatile long_text = "cut off here";
    int wanted = snprintf(small, sizeof small, "%s", long_text);
    printf("[%s] of %d\n", small, wanted);
    int number, count;
    char word[16];
    double real;
    count = sscanf("7 apples, 2.5 pears", "%d %15[a-z], %lf", &number, word, &real);
    printf("%d: %d %s %.1f\n", count, number, word, real);
    char *end;
    long hexadecimal = strtol("0x1fz", &end, 16);
    printf("%ld [%s] %ld %.3f\n", hexadecimal, end, strtol("-077", NULL, 0), strtod("2.5e3", NULL));
}

static int by_name(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static int by_length(const void *left, const void *right) {
    size_t a = strlen(*(char *const *)left), b = strlen(*(char *const *)right);
    return a != b ? (a > b) - (a < b) : by_name(left, right);
}

static void sorting(void) {
    title("sorting");
    const char *fruits[] = {"pear", "fig", "banana", "apple", "kiwi", "cherry", "date"};
    const size_t count = sizeof fruits / sizeof *fruits;
    qsort(fruits, count, sizeof *fruits, by_length);
    for (size_t i = 0; i < count; i++) printf("%s ", fruits[i]);
    qsort(fruits, count, sizeof *fruits, by_name);
    const char *key = "date";
    const char **found = bsearch(&key, fruits, count, sizeof *fruits, by_name);
    printf("\n%s is number %td\n", *found, found - fruits);
    uint32_t state = 1, numbers[1000];
    for (int i = 0; i < 1000; i++) numbers[i] = state = state * 1664525 + 1013904223;
    uint64_t sum = 0;
    for (int i = 0; i < 1000; i++) sum += numbers[i] ^ (uint32_t)i;
    printf("sum %" PRIu64 "\n", sum);
}

// Counts what comes from the standard input.
static void input(void) {
    title("input");
    int lines = 0, words = 0, letters = 0, previous = ' ';
    for (int c; (c = getchar()) != EOF; previous = c) {
        lines += c == '\n';
        letters += isalpha(c) != 0;
        words += isspace(previous) && !isspace(c);
    }
    printf("%d lines, %d words, %d letters\n", lines, words, letters);
}

static void text_files(void) {
    title("text files");
    FILE *file = fopen(in_directory("poem.txt"), "w");
    need(file != NULL, "poem.txt");
    setvbuf(file, NULL, _IOFBF, 64);
    for (int line = 1; line <= 5; line++) fprintf(file, "line %d of %s\n", line, "a poem");
    fputs("the last line has no end", file);
    need(fclose(file) == 0, "fclose");

    file = fopen(in_directory("poem.txt"), "a+");
    need(file != NULL, "poem.txt");
    fputs(", or has it?\n", file);
    rewind(file);
    char line[128];
    while (fgets(line, sizeof line, file)) printf("%3ld: %s", ftell(file), line);
    printf("end %d, error %d\n", feof(file) != 0, ferror(file) != 0);
    fclose(file);

    file = fopen(in_directory("poem.txt"), "r");
    need(file != NULL, "poem.txt");
    need(fseek(file, 7, SEEK_SET) == 0, "fseek");
    int c = fgetc(file);
    ungetc(c, file);
    int again = fgetc(file);
    printf("'%c' again '%c' at %ld\n", c, again, ftell(file));
    need(fseek(file, -5, SEEK_END) == 0, "fseek");
    size_t count = fread(line, 1, sizeof line, file);
    printf("the last %zu: %.*s", count, (int)count, line);
    need(fputc('x', file) == EOF, "a file opened to read was written");
    fclose(file);
    need(fopen(in_directory("poem.txt"), "wx") == NULL, "a file was created twice");
    printf("wx: %s\n", strerror(errno));
}

struct record {
    int32_t id;
    char name[12];
    double weight;
};

static void binary_files(void) {
    title("binary files");
    FILE *file = fopen(in_directory("records.bin"), "w+b");
    need(file != NULL, "records.bin");
    for (int id = 0; id < 100; id++) {
        struct record record = {.id = id, .weight = id / 8.0};
        snprintf(record.name, sizeof record.name, "record %d", id);
        need(fwrite(&record, sizeof record, 1, file) == 1, "fwrite");
    }
    struct record record;
    for (int id = 99; id > 0; id /= 3) {
        need(fseek(file, id * (long)sizeof record, SEEK_SET) == 0, "fseek");
        need(fread(&record, sizeof record, 1, file) == 1, "fread");
        printf("%" PRId32 " \"%s\" %.3f\n", record.id, record.name, record.weight);
    }
    fclose(file);

    int fd = open(in_directory("records.bin"), O_RDWR);
    need(fd >= 0, "records.bin");
    need(pread(fd, &record, sizeof record, 7 * sizeof record) == sizeof record, "pread");
    record.weight = -1;
    need(pwrite(fd, &record, sizeof record, 0) == sizeof record, "pwrite");
    printf("%lld, then ", (long long)lseek(fd, 0, SEEK_CUR));
    need(read(fd, &record, sizeof record) == sizeof record, "read");
    printf("%" PRId32 " at %lld\n", record.id, (long long)lseek(fd, 0, SEEK_CUR));
    tell("before the start", (int)lseek(fd, -1, SEEK_SET));
    tell("ftruncate", ftruncate(fd, 1000));
    printf("%lld bytes\n", (long long)lseek(fd, 0, SEEK_END));
    tell("fsync", fsync(fd));
    tell("close", close(fd));
    tell("close again", close(fd));
}

// Prints type and size of what has this name; that of directories differs.
static void describe(const char *name) {
    struct stat stat;
    if (lstat(in_directory(name), &stat) == -1)
        printf("%-12s %s\n", name, strerror(errno));
    else if (S_ISDIR(stat.st_mode))
        printf("%-12s directory\n", name);
    else
        printf("%-12s %s, %lld bytes\n", name, S_ISLNK(stat.st_mode) ? "link" : "file", (long long)stat.st_size);
}

// Prints the names in a directory in their order.
static void list(const char *name) {
    DIR *dir = opendir(in_directory(name));
    need(dir != NULL, name);
    char *names[64];
    size_t count = 0;
    for (struct dirent *entry; count < 64 && (entry = readdir(dir));) names[count++] = strdup(entry->d_name);
    closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    printf("%s:", name);
    for (size_t i = 0; i < count; i++) {
        printf(" %s", names[i]);
        free(names[i]);
    }
    printf("\n");
}

static void directories(void) {
    title("directories");
    tell("mkdir", mkdir(in_directory("tree"), 0777));
    tell("mkdir again", mkdir(in_directory("tree"), 0777));
    tell("mkdir below", mkdir(in_directory("tree/branch"), 0777));
    tell("mkdir below nothing", mkdir(in_directory("nothing/branch"), 0777));
    for (int leaf = 0; leaf < 30; leaf++) {
        char name[32];
        snprintf(name, sizeof name, "tree/leaf-%02d", leaf);
        FILE *file = fopen(in_directory(name), "w");
        need(file != NULL, name);
        fprintf(file, "%*d", leaf, leaf);
        fclose(file);
    }
    list(".");
    list("tree");
    describe("tree/leaf-29");
    describe("tree/branch");
    describe("tree/leaf-30");
    tell("rmdir", rmdir(in_directory("tree")));
    tell("rmdir of a file", rmdir(in_directory("poem.txt")));
    tell("opendir of a file", opendir(in_directory("poem.txt")) ? 0 : -1);
    tell("opendir of nothing", opendir(in_directory("nothing")) ? 0 : -1);
    tell("access", access(in_directory("tree/leaf-00"), R_OK | W_OK));
    tell("access to nothing", access(in_directory("nothing"), F_OK));
}

static void names(void) {
    title("names");
    tell("rename", rename(in_directory("poem.txt"), in_directory("tree/poem.txt")));
    tell("rename of nothing", rename(in_directory("poem.txt"), in_directory("other")));
    tell("rename over a directory", rename(in_directory("tree/poem.txt"), in_directory("tree/branch")));
    tell("rename over a file", rename(in_directory("tree/poem.txt"), in_directory("tree/leaf-00")));
    describe("tree/leaf-00");
    tell("link", link(in_directory("tree/leaf-00"), in_directory("second")));
    struct stat stat_buffer;
    need(stat(in_directory("second"), &stat_buffer) == 0, "second");
    printf("%d names\n", (int)stat_buffer.st_nlink);
    tell("symlink", symlink("tree/leaf-29", in_directory("pointer")));
    describe("pointer");
    need(stat(in_directory("pointer"), &stat_buffer) == 0, "pointer");
    printf("it leads to %lld bytes\n", (long long)stat_buffer.st_size);
    char target[64] = "";
    tell("readlink", (int)readlink(in_directory("pointer"), target, sizeof target - 1));
    printf("%s\n", target);
    tell("unlink of a directory", unlink(in_directory("tree")));
    tell("unlink of a link", unlink(in_directory("pointer")));
    describe("tree/leaf-29");
    tell("remove", remove(in_directory("second")));
}

static void times(void) {
    title("times");
    time_t moment = 1234567890;
    char text[64];
    struct tm *parts = gmtime(&moment);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S, a %A in %B, day %j", parts);
    printf("%s\n%s", text, asctime(parts));
    struct timespec new_times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1111111111, .tv_nsec = 222333000}};
    tell("utimensat", utimensat(AT_FDCWD, in_directory("records.bin"), new_times, 0));
    struct stat stat_buffer;
    need(stat(in_directory("records.bin"), &stat_buffer) == 0, "records.bin");
    printf("%lld %lld.%09ld\n", (long long)stat_buffer.st_atim.tv_sec, (long long)stat_buffer.st_mtim.tv_sec,
           stat_buffer.st_mtim.tv_nsec);
    struct timespec before, after, nap = {.tv_nsec = 2000000};
    clock_gettime(CLOCK_MONOTONIC, &before);
    need(nanosleep(&nap, NULL) == 0, "nanosleep");
    clock_gettime(CLOCK_MONOTONIC, &after);
    int64_t slept = (after.tv_sec - before.tv_sec) * INT64_C(1000000000) + after.tv_nsec - before.tv_nsec;
    printf("slept %s; the year is over 2020: %d\n", slept >= 2000000 ? "long enough" : "too short", time(NULL) > 1600000000);
}

static void clean_up(void) {
    title("clean up");
    for (int leaf = 0; leaf < 30; leaf++) {
        char name[32];
        snprintf(name, sizeof name, "tree/leaf-%02d", leaf);
        need(unlink(in_directory(name)) == 0, name);
    }
    need(rmdir(in_directory("tree/branch")) == 0, "tree/branch");
    need(rmdir(in_directory("tree")) == 0, "tree");
    need(remove(in_directory("records.bin")) == 0, "records.bin");
    list(".");
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY < TEXT\n", argv[0]);
        return 64;
    }
    directory = argv[1];
    const char *greeting = getenv("GREETING");
    printf("%s\n", greeting ? greeting : "no greeting");
    formats();
    sorting();
    input();
    text_files();
    binary_files();
    directories();
    names();
    times();
    clean_up();
    return 7;
}
