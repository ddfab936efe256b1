/* Characters in UTF-8. Entry: utf8_decode, utf8_append, utf8_append_valid. Threads: any. */
#include "common/utf8.h"

#define REPLACEMENT 0xfffd

uint32_t utf8_decode(struct slice text, size_t *ret_size)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    const unsigned char *bytes = (const unsigned char *)text.data;
    *ret_size = 1;
    for (size_t length = 1; length <= ARRAY_COUNT(forms) && length <= text.size; length++) {
        if ((bytes[0] & forms[length - 1].mask) != forms[length - 1].lead)
            continue;
        uint32_t value = bytes[0] & (unsigned char)~forms[length - 1].mask;
        for (size_t i = 1; i < length; i++) {
            if ((bytes[i] & 0xc0) != 0x80)
                return 0;
            value = value << 6 | (bytes[i] & 0x3f);
        }
        if (value < forms[length - 1].least || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
            return 0;
        *ret_size = length;
        return value;
    }
    return 0;
}

void utf8_append(struct buf *text, uint32_t character)
{
    if (character < 0x80) {
        buf_append_char(text, (char)character);
    } else if (character < 0x800) {
        buf_append_char(text, (char)(0xc0 | character >> 6));
        buf_append_char(text, (char)(0x80 | (character & 0x3f)));
    } else if (character < 0x10000) {
        buf_append_char(text, (char)(0xe0 | character >> 12));
        buf_append_char(text, (char)(0x80 | (character >> 6 & 0x3f)));
        buf_append_char(text, (char)(0x80 | (character & 0x3f)));
    } else {
        buf_append_char(text, (char)(0xf0 | character >> 18));
        buf_append_char(text, (char)(0x80 | (character >> 12 & 0x3f)));
        buf_append_char(text, (char)(0x80 | (character >> 6 & 0x3f)));
        buf_append_char(text, (char)(0x80 | (character & 0x3f)));
    }
}

bool utf8_is_valid(struct slice text)
{
    size_t size;
    for (; text.size > 0; text = slice_make(text.data + size, text.size - size))
        if (utf8_decode(text, &size) == 0 && text.data[0] != 0)
            return false;
    return true;
}

void utf8_append_valid(struct buf *text, struct slice raw)
{
    while (raw.size > 0) {
        size_t size;
        uint32_t character = utf8_decode(raw, &size);
        if (character == 0 && raw.data[0] != 0)
            utf8_append(text, REPLACEMENT);
        else
            buf_append(text, raw.data, size);
        raw = slice_make(raw.data + size, raw.size - size);
    }
}
