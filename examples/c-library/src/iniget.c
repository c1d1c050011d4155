/* iniget FILE SECTION NAME: prints one value of an INI file. */
#include "ini.h"

#include <string.h>

struct wanted {
    const char *section, *name;
};

static int print_if_wanted(void *context, const char *section, const char *name, const char *value)
{
    const struct wanted *wanted = context;
    if (strcmp(section, wanted->section) != 0 || strcmp(name, wanted->name) != 0)
        return 0;
    puts(value);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: iniget FILE SECTION NAME\n");
        return 2;
    }
    FILE *file = fopen(argv[1], "r");
    if (!file) {
        perror(argv[1]);
        return 2;
    }
    struct wanted wanted = {argv[2], argv[3]};
    int end = ini_read(file, print_if_wanted, &wanted);
    fclose(file);
    if (end > 0)
        fprintf(stderr, "%s:%d: not an INI line\n", argv[1], end);
    return end == -1 ? 0 : 1;
}
