/* Texts in a program without a libc. What is added is terminated, and the new end returned; that it fits is the caller's care. */
#ifndef PYRT_FREESTANDING_TEXT_H
#define PYRT_FREESTANDING_TEXT_H

#include <stddef.h>

size_t text_size(const char *text);
int text_same(const char *one, const char *other);
/* text begins with the size bytes of prefix, and after them it ends or a slash comes. */
int text_below(const char *text, const char *prefix, size_t size);
char *text_add(char *end, const char *text);
char *text_add_number(char *end, unsigned long number);
/* The number that *text, which is moved on, begins with after blanks; 0 where there is none. */
unsigned long text_number(const char **text, unsigned base);

#endif
