#include "ini.h"

#include <ctype.h>
#include <string.h>

#define LINE 1024

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return text;
}

int ini_read(FILE *file, ini_entry entry, void *context)
{
    char line[LINE], section[LINE] = "";

    for (int number = 1; fgets(line, sizeof line, file); number++) {
        char *text = trim(line);
        if (*text == '\0' || *text == ';' || *text == '#')
            continue;
        if (*text == '[') {
            char *end = strchr(text, ']');
            if (!end || end[1] != '\0')
                return number;
            *end = '\0';
            strcpy(section, trim(text + 1));
            continue;
        }
        char *equals = strchr(text, '=');
        if (!equals || equals == text)
            return number;
        *equals = '\0';
        if (entry(context, section, trim(text), trim(equals + 1)) != 0)
            return -1;
    }
    return 0;
}
