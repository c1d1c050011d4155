/* test_ini FILE: tests libini and writes the results to FILE as JUnit XML. */
#include "ini.h"

#include <string.h>

static char seen[256];

static int remember(void *context, const char *section, const char *name, const char *value)
{
    (void)context;
    size_t used = strlen(seen);
    snprintf(seen + used, sizeof seen - used, "%s/%s=%s ", section, name, value);
    return strcmp(name, "stop") == 0;
}

static const struct {
    const char *name, *text, *entries;
    int result;
} cases[] = {
    {"an empty file has no entries", "", "", 0},
    {"entries before a section", "a=1\nb=2\n", "/a=1 /b=2 ", 0},
    {"sections", "[x]\na=1\n[y]\na=2\n", "x/a=1 y/a=2 ", 0},
    {"blanks are trimmed", "  [ x ]\n\ta  =  1 2 \n", "x/a=1 2 ", 0},
    {"comments and empty lines are skipped", "; c\n\n# c\na=1\n", "/a=1 ", 0},
    {"an empty value", "a=\n", "/a= ", 0},
    {"a line without = is an error", "a=1\nb\n", "/a=1 ", 2},
    {"a section without ] is an error", "\n[x\n", "", 2},
    {"the reader can stop", "stop=1\nb=2\n", "/stop=1 ", -1},
};

int main(int argc, char **argv)
{
    FILE *report = fopen(argc > 1 ? argv[1] : "/dev/stdout", "w");
    size_t count = sizeof cases / sizeof *cases, failures = 0;

    if (!report) {
        perror("report");
        return 2;
    }
    fprintf(report, "<testsuite name=\"ini_read\" tests=\"%zu\">\n", count);
    for (size_t i = 0; i < count; i++) {
        FILE *file = tmpfile();
        if (!file) {
            perror("tmpfile");
            return 2;
        }
        fputs(cases[i].text, file);
        rewind(file);
        seen[0] = '\0';
        int result = ini_read(file, remember, NULL);
        fclose(file);

        int passed = result == cases[i].result && strcmp(seen, cases[i].entries) == 0;
        failures += !passed;
        printf("%s %s\n", passed ? "pass" : "FAIL", cases[i].name);
        fprintf(report, "  <testcase classname=\"ini_read\" name=\"%s\">", cases[i].name);
        if (!passed)
            fprintf(report, "<failure message=\"result %d, entries %s\"/>", result, seen);
        fprintf(report, "</testcase>\n");
    }
    fprintf(report, "</testsuite>\n");
    fclose(report);
    printf("%zu tests, %zu failed\n", count, failures);
    return failures != 0;
}
