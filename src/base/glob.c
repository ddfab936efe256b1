/* Glob patterns.
 *
 * Principal entry points: glob_match, glob_match_nocase. Threads: any; no state.
 * Every element but the star takes exactly one byte. So when a later element fails, only the last star can
 * help by taking one byte more: whatever an earlier star could reach, the last one reaches too. That bounds
 * the work by pattern x text, where trying all stars would be exponential. */
#include "base/glob.h"

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* Whether one element of the pattern takes a byte, and where the element ends. */
struct step {
    bool matches;
    const char *end;
};

/* `at` is behind the '['. A class that nothing closes ends with the pattern. A ']' closes it wherever it
 * stands, save as the end of a range or behind a backslash. */
static struct step match_class(const char *at, const char *end, unsigned char c, bool nocase)
{
    bool negated = at < end && *at == '^';
    bool matches = false;
    if (negated)
        at++;
    while (at < end && *at != ']') {
        unsigned char first, last;
        if (*at == '\\' && end - at >= 2) {
            first = last = (unsigned char)at[1];
            at += 2;
        } else if (end - at >= 3 && at[1] == '-') {
            first = (unsigned char)at[0];
            last = (unsigned char)at[2];
            at += 3;
        } else {
            first = last = (unsigned char)*at++;
        }
        if (nocase) {
            first = lower(first);
            last = lower(last);
        }
        if (first <= last ? c >= first && c <= last : c >= last && c <= first)
            matches = true;
    }
    return (struct step){matches != negated, at < end ? at + 1 : end};
}

/* `at` is at an element that is no star; at < end. */
static struct step match_one(const char *at, const char *end, unsigned char c, bool nocase)
{
    if (nocase)
        c = lower(c);
    if (*at == '?')
        return (struct step){true, at + 1};
    if (*at == '[')
        return match_class(at + 1, end, c, nocase);
    if (*at == '\\' && end - at >= 2)
        at++;
    unsigned char literal = (unsigned char)*at;
    return (struct step){(nocase ? lower(literal) : literal) == c, at + 1};
}

static bool match(struct slice pattern, struct slice text, bool nocase)
{
    const char *at = pattern.data, *end = pattern.data + pattern.size;
    const char *byte = text.data, *text_end = text.data + text.size;
    const char *behind_star = NULL; /* the element behind the last star */
    const char *star_byte = NULL;   /* the first byte that the last star has not taken */
    while (byte < text_end) {
        if (at < end && *at == '*') {
            behind_star = ++at;
            star_byte = byte;
            if (at == end)
                return true;
            continue;
        }
        if (at < end) {
            struct step step = match_one(at, end, (unsigned char)*byte, nocase);
            if (step.matches) {
                at = step.end;
                byte++;
                continue;
            }
        }
        if (behind_star == NULL)
            return false;
        at = behind_star;
        byte = ++star_byte;
    }
    while (at < end && *at == '*')
        at++;
    return at == end;
}

bool glob_match(struct slice pattern, struct slice text)
{
    return match(pattern, text, false);
}

bool glob_match_nocase(struct slice pattern, struct slice text)
{
    return match(pattern, text, true);
}
