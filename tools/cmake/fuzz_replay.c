/* fuzz_replay.c - runs a fuzz target over the files of its corpus, where libFuzzer is
 * not linked. Fails when the corpus is missing or empty: nothing would have been tested. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *folder, const char *name)
{
    char path[4096];
    uint8_t *data = NULL;
    FILE *file;
    long size;
    int rc = 1;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0) {
        perror(path);
        goto done;
    }
    rewind(file);
    /* Exactly as large as the input, so that ASan sees one byte too far. */
    data = malloc(size > 0 ? (size_t)size : 1);
    if (data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size) {
        perror(path);
        goto done;
    }
    (void)LLVMFuzzerTestOneInput(data, (size_t)size);
    rc = 0;
done:
    free(data);
    if (file != NULL) {
        (void)fclose(file);
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct dirent *entry;
    size_t count = 0;
    int failed = 0;
    DIR *dir;

    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }
    dir = opendir(argv[1]);
    if (dir == NULL) {
        perror(argv[1]);
        return 1;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            failed |= replay(argv[1], entry->d_name);
            count++;
        }
    }
    (void)closedir(dir);
    printf("replayed %zu inputs\n", count);
    return failed != 0 || count == 0;
}
