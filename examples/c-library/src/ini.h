/* libini: reads INI files, calling back for every `name = value`. */
#ifndef INI_H
#define INI_H

#include <stdio.h>

#define INI_VERSION "1.2.0"

/* Called for each entry; section is "" before the first [section]. A result other than 0 ends the reading. */
typedef int (*ini_entry)(void *context, const char *section, const char *name, const char *value);

/* Returns 0 at the end of the file, the line of the first syntax error, or -1 when `entry` ended it. */
int ini_read(FILE *file, ini_entry entry, void *context);

#endif
