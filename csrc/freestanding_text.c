#include "freestanding_text.h"

size_t text_size(const char *text) {
    size_t size = 0;
    while (text[size])
        size++;
    return size;
}

int text_same(const char *one, const char *other) {
    while (*one && *one == *other) {
        one++;
        other++;
    }
    return *one == *other;
}

int text_below(const char *text, const char *prefix, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (text[i] != prefix[i])
            return 0;
    return text[size] == 0 || text[size] == '/';
}

char *text_add(char *end, const char *text) {
    while (*text)
        *end++ = *text++;
    *end = 0;
    return end;
}

char *text_add_number(char *end, unsigned long number) {
    char digits[24];
    int count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count > 0)
        *end++ = digits[--count];
    *end = 0;
    return end;
}

static int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

unsigned long text_number(const char **text, unsigned base) {
    unsigned long number = 0;
    while (**text == ' ' || **text == '\t')
        ++*text;
    for (; digit(**text) < (int)base; ++*text)
        number = number * base + (unsigned long)digit(**text);
    return number;
}
