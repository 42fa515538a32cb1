// Does random things to a small tree of files, and prints what came of each.
//
//     chaos DIRECTORY SEED COUNT
//
// With the same seed it must print the same natively and as a guest, byte for byte
// (lunatic-cli/tests/languages.rs). Which error a call fails with is not printed:
// where two things are wrong, systems differ in what they look at first.

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *directory;
static uint32_t state;

// A number below `limit`, the same on all machines.
static uint32_t number(uint32_t limit) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % limit;
}

static bool one_in(uint32_t chances) { return number(chances) == 0; }

// Writes a path of up to three names behind the directory's. None has a `..`,
// which natively could lead outside.
static void make_path(char path[256]) {
    static const char *const names[] = {"a", "b", "c", "d", "."};
    strcpy(path, directory);
    for (uint32_t rest = 1 + number(3); rest > 0; rest--) {
        strcat(path, one_in(12) ? "//" : "/");
        strcat(path, names[one_in(20) ? 4 : number(4)]);
    }
    if (one_in(6)) strcat(path, "/");
}

static const char *outcome(long result) { return result == -1 ? "failed" : "done"; }

static void describe(int result, const struct stat *stat) {
    if (result == -1)
        printf("failed\n");
    else if (S_ISDIR(stat->st_mode))
        printf("directory\n");
    else
        printf("%s of %d\n", S_ISLNK(stat->st_mode) ? "link" : "file", (int)stat->st_size);
}

static int by_name(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void list(const char *path) {
    DIR *dir = opendir(path);
    if (!dir) {
        printf("failed\n");
        return;
    }
    char *names[16];
    size_t count = 0;
    for (struct dirent *entry; count < 16 && (entry = readdir(dir));) names[count++] = strdup(entry->d_name);
    closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        printf("%s ", names[i]);
        free(names[i]);
    }
    printf("\n");
}

// Opens a path in some way, and reads and writes if it is a file.
static void use_file(const char *path) {
    static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR};
    uint32_t mode = number(3);
    int flags = modes[mode];
    if (one_in(2)) flags |= one_in(3) ? O_CREAT | O_EXCL : O_CREAT;
    if (one_in(4) && mode > 0) flags |= O_TRUNC;
    if (one_in(5)) flags |= O_APPEND;
    if (one_in(8)) flags |= O_NOFOLLOW;
    if (one_in(8) && !(flags & O_CREAT)) flags |= O_DIRECTORY;
    int fd = open(path, flags, 0666);
    struct stat stat;
    if (fd == -1 || fstat(fd, &stat) == -1 || S_ISDIR(stat.st_mode)) {
        printf("%s\n", fd == -1 ? "failed" : "directory");
    } else {
        char bytes[8] = "abcdefg";
        printf("wrote %d, ", (int)write(fd, bytes, 1 + number(7)));
        lseek(fd, number(4), SEEK_SET);
        printf("read %d, ", (int)read(fd, bytes, sizeof bytes));
        printf("wrote %d, ", (int)pwrite(fd, "zz", 2, number(9)));
        if (one_in(5)) printf("truncation %s, ", outcome(ftruncate(fd, number(9))));
        printf("at %d, ", (int)lseek(fd, 0, SEEK_CUR));
        describe(fstat(fd, &stat), &stat);
    }
    if (fd != -1) close(fd);
}

static void act(void) {
    static const char *const targets[] = {"a", "b", "c", "a/b", "b/c", "d", "./a", "c/"};
    char path[256], other[256], target[64];
    struct stat stat_buffer;
    make_path(path);
    make_path(other);
    uint32_t action = number(14);
    printf("%u %s %s: ", action, path, other);
    switch (action) {
    case 0:
    case 1: printf("%s\n", outcome(mkdir(path, 0777))); break;
    case 2: printf("%s\n", outcome(rmdir(path))); break;
    case 3: printf("%s\n", outcome(unlink(path))); break;
    case 4: printf("%s\n", outcome(rename(path, other))); break;
    case 5: printf("%s\n", outcome(link(path, other))); break;
    case 6: printf("%s\n", outcome(symlink(targets[number(8)], path))); break;
    case 7: printf("%d\n", (int)readlink(path, target, sizeof target)); break;
    case 8: describe(stat(path, &stat_buffer), &stat_buffer); break;
    case 9: describe(lstat(path, &stat_buffer), &stat_buffer); break;
    case 10: list(path); break;
    default: use_file(path); break;
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s DIRECTORY SEED COUNT\n", argv[0]);
        return 64;
    }
    directory = argv[1];
    // Small seeds begin with small numbers.
    state = (uint32_t)atoi(argv[2]) * 2654435761u + 12345;
    for (int rest = atoi(argv[3]); rest > 0; rest--) act();
    return 0;
}
