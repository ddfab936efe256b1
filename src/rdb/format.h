/* The numbers of Redis's format for values (RDB): types, lengths, listpacks.
 *
 * A value is stored as the byte of its type (enum rdb_type) and what belongs to it; what follows the byte depends on
 * nothing else, except that type 22 means one thing in versions of Redis and another in those of Valkey. */
#ifndef SKUA_RDB_FORMAT_H
#define SKUA_RDB_FORMAT_H

/* Versions: Redis 7.0 writes 10, 7.2 and Valkey 8 write 11, Redis 7.4 and 8.0 write 12, Valkey 9 writes 80. */
#define RDB_VERSION_OLDEST 6 /* the first that payloads had */
#define RDB_VERSION_TIMED  12
#define RDB_VERSION_VALKEY 80

/* How a value is written. Lists of rows have one string after the other; the others are strings that hold all of a
 * collection, or a node of a list, packed (rdb/packed.h). */
enum rdb_type {
    RDB_STRING = 0,
    RDB_LIST = 1,   /* rows */
    RDB_SET = 2,    /* rows */
    RDB_ZSET = 3,   /* rows; scores are texts */
    RDB_HASH = 4,   /* rows */
    RDB_ZSET_2 = 5, /* rows; scores are doubles */
    RDB_MODULE_OLD = 6,
    RDB_MODULE = 7,
    RDB_HASH_ZIPMAP = 9,
    RDB_LIST_ZIPLIST = 10,
    RDB_SET_INTSET = 11,
    RDB_ZSET_ZIPLIST = 12,
    RDB_HASH_ZIPLIST = 13,
    RDB_QUICKLIST = 14, /* nodes are ziplists */
    RDB_STREAM = 15,
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_QUICKLIST_2 = 18, /* nodes are listpacks or plain elements */
    RDB_STREAM_2 = 19,
    RDB_SET_LISTPACK = 20,
    RDB_STREAM_3 = 21,
    RDB_HASH_TIMED_EARLY = 22, /* Redis before 7.4.0: rows of moment, field, value */
    RDB_HASH_VALKEY = 22,      /* Valkey 9: rows of field, value, moment */
    RDB_HASH_LISTPACK_TIMED_EARLY = 23,
    RDB_HASH_TIMED = 24,          /* the first moment, then rows with moments that count from it */
    RDB_HASH_LISTPACK_TIMED = 25, /* the first moment, then a listpack of field, value, moment */
    RDB_TYPES,
};

/* What stands in a file where the type of a key could stand, above all of those. */
enum rdb_opcode {
    RDB_OPCODE_SLOT_IMPORT = 0xf3,  /* Valkey 9, a slot that comes: job, ranges of slots */
    RDB_OPCODE_SLOT_INFO = 0xf4,    /* Redis 7.4, Valkey 9: a slot, its keys, those that expire, as lengths */
    RDB_OPCODE_FUNCTION = 0xf5,     /* the code of a library of functions: a string */
    RDB_OPCODE_FUNCTION_OLD = 0xf6, /* before Redis 7.0.0: name, engine, whether one follows, text, code */
    RDB_OPCODE_MODULE_AUX = 0xf7,   /* a module, when, what it has written */
    RDB_OPCODE_IDLE = 0xf8,         /* of the key that follows: seconds, as a length */
    RDB_OPCODE_FREQUENCY = 0xf9,    /* of the key that follows: a byte */
    RDB_OPCODE_AUX = 0xfa,          /* two strings: a name and a value */
    RDB_OPCODE_SIZES = 0xfb,        /* of the database: keys, and those that expire, as lengths */
    RDB_OPCODE_EXPIRE_MS = 0xfc,    /* of the key that follows: 8 bytes, little endian */
    RDB_OPCODE_EXPIRE_S = 0xfd,     /* the same in seconds, 4 bytes: very old files */
    RDB_OPCODE_DB = 0xfe,           /* the keys that follow are in this database: a length */
    RDB_OPCODE_END = 0xff,          /* a checksum follows, 8 bytes, and nothing else */
};
#define RDB_OPCODE_FIRST 0xf3

/* A header: REDIS and four digits, or VALKEY and three. */
#define RDB_HEADER_SIZE 9
/* Files of older versions end without a checksum. */
#define RDB_VERSION_SUMMED 5

/* What a module writes: each part behind its kind, up to the end. */
enum rdb_module_part {
    RDB_MODULE_END = 0,
    RDB_MODULE_SIGNED = 1,   /* a length */
    RDB_MODULE_UNSIGNED = 2, /* a length */
    RDB_MODULE_FLOAT = 3,    /* 4 bytes */
    RDB_MODULE_DOUBLE = 4,   /* 8 bytes */
    RDB_MODULE_TEXT = 5,     /* a string */
};

/* The highest two bits of a length's first byte. */
enum rdb_length {
    RDB_LENGTH_6 = 0 << 6,  /* in the other bits */
    RDB_LENGTH_14 = 1 << 6, /* in those and the next byte */
    RDB_LENGTH_LONG = 2 << 6,
    RDB_LENGTH_SPECIAL = 3 << 6, /* no length: the other bits say how the string is written */
};
#define RDB_LENGTH_32 0x80 /* big endian */
#define RDB_LENGTH_64 0x81

enum rdb_special {
    RDB_INT_8 = 0, /* little endian */
    RDB_INT_16 = 1,
    RDB_INT_32 = 2,
    RDB_LZF = 3, /* two lengths, packed and unpacked, and the packed bytes */
};

/* How a node of RDB_QUICKLIST_2 holds its elements. */
enum rdb_container {
    RDB_CONTAINER_PLAIN = 1, /* the string is the element */
    RDB_CONTAINER_PACKED = 2,
};

/* A listpack: its size (4 bytes) and the number of entries (2), the entries, an end mark. */
#define LISTPACK_HEADER        6
#define LISTPACK_FRAME         (LISTPACK_HEADER + 1)
#define LISTPACK_END           0xff
#define LISTPACK_COUNT_UNKNOWN 0xffff

/* First bytes of entries; where bits are free, they belong to the value or the size. */
#define LISTPACK_INT_7     0x00
#define LISTPACK_STRING_6  0x80
#define LISTPACK_INT_13    0xc0
#define LISTPACK_STRING_12 0xe0
#define LISTPACK_STRING_32 0xf0
#define LISTPACK_INT_16    0xf1
#define LISTPACK_INT_24    0xf2
#define LISTPACK_INT_32    0xf3
#define LISTPACK_INT_64    0xf4

#endif
